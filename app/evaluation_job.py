"""Measuring a collection with a BEIR folder: what the command line and the job share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.settings import Location
from indexing.names import DEFAULT_MODE, DEFAULT_RERANK_DEPTH, SERVING_RERANKER

if TYPE_CHECKING:
    from indexing.evaluation import EvaluationReport

__all__ = ["EvaluationChoices", "evaluate_folder"]


@dataclass(frozen=True)
class EvaluationChoices:
    """Which judgments (`qrels/SPLIT.tsv`), which rankings, and what the collection is opened with.

    No `modes` are all that the collection has. `rerank` is a model, empty for none; None takes the reranker
    of what is served.
    """

    split: str = "test"
    modes: Sequence[str] = (DEFAULT_MODE,)
    rerank: str | None = None
    rerank_depth: int = DEFAULT_RERANK_DEPTH
    model: str | None = None
    sparse: str | None = None
    tokens: str | None = None


def evaluate_folder(
    location: Location,
    name: str,
    folder: Path,
    choices: EvaluationChoices,
    progress: Callable[[int, int], None] | None = None,
) -> list[EvaluationReport]:
    """A report for each of the modes. `progress` gets how many questions were asked, and how many will be.

    Raises:
        BadInput, BadLine: the folder cannot be read.
        UnknownCollection, RerankingFailed: as `Collection.evaluate` does.
    """
    from indexing import Collection
    from indexing.evaluation import read_beir

    beir = read_beir(folder, choices.split)
    judged = sum(
        1 for query, grades in beir.qrels.items() if query in beir.queries and max(grades.values()) > 0
    )
    given = {"model": choices.model, "sparse": choices.sparse, "tokens": choices.tokens}
    rerank = SERVING_RERANKER if choices.rerank is None else choices.rerank
    with Collection.open(name, **given, **location.arguments()) as collection:
        modes = choices.modes or collection.modes
        asked = _Asked(beir.queries, judged * len(modes), progress)
        return [
            collection.evaluate(
                asked, beir.qrels, mode=mode, rerank=rerank, rerank_depth=choices.rerank_depth
            )
            for mode in modes
        ]


class _Asked(dict[str, str]):
    """Questions that tell how many of them were looked up, each just before it is asked."""

    def __init__(
        self, questions: dict[str, str], total: int, progress: Callable[[int, int], None] | None
    ) -> None:
        super().__init__(questions)
        self._count = 0
        self._total = total
        self._progress = progress

    def __getitem__(self, question: str) -> str:
        self._count += 1
        if self._progress is not None:
            self._progress(min(self._count, self._total), self._total)
        return super().__getitem__(question)
