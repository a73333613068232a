"""Every question put to every system, and how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.report.judgments import Judgments
from app.report.model import SHOWN, System
from app.report.precisions import scratch_collections
from indexing import Collection
from indexing.errors import BadInput
from indexing.evaluation import DEPTH, METRICS, query_metrics
from indexing.models.rerankers import by_tokens, load_reranker, reranker_fingerprint
from indexing.names import DEFAULT_RESULTS, SERVING_RERANKER
from indexing.search.probe import Probe

__all__ = ["TIMED", "Progress", "Run", "run_systems"]

TIMED = 60
"""Questions whose searches are timed: the median of as many is known within some percent, and a slow reranker
is not asked everything twice.
"""

Progress = Callable[[int, int], None]
_BYTES = {"float32": 4.0, "int8": 1.0, "uint8": 1.0, "binary": 1.125, "ubinary": 1.125}  # with rescoring


@dataclass
class Run:
    """What one system said.

    Attributes:
        values: metric → question → value.
        judged: share of the first ten answers with a grade, of each question.
        answers: question → ids, best first, `SHOWN` of them.
        times: milliseconds of timed searches.
        reranker: its name and fingerprint; empty for none.
        seq: where the collection's log stood.
    """

    system: System
    model: str
    precision: str
    fingerprint: str
    memory: int
    seq: int
    reranker: tuple[str, str] = ("", "")
    values: dict[str, dict[str, float]] = field(default_factory=lambda: {name: {} for name in METRICS})
    judged: list[float] = field(default_factory=list)
    answers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Asked:
    """A system, ready to be asked: `rank` looks at one state of the collection, `search` is what all do."""

    run: Run
    rank: Callable[[str], list[str]]
    search: Callable[[str], object]


def run_systems(
    collection: Collection,
    systems: Sequence[System],
    judgments: Judgments,
    progress: Progress,
) -> list[Run]:
    """A run of each system. Systems take turns with every question, each time another one first, so that
    what else the machine does meets all of them alike.

    Raises:
        RerankingFailed: a reranker cannot be used; without it another ranking would be measured.
    """
    total = len(judgments.qrels) * len(systems)
    with _ready(collection, systems, lambda: progress(0, total)) as asked:
        timed = _spread(list(judgments.qrels), TIMED)
        for at, (question, grades) in enumerate(judgments.qrels.items()):
            text, turn = judgments.queries[question], at % len(asked)
            for done, one in enumerate([*asked[turn:], *asked[:turn]], start=1):
                _ask(one, question, text, grades, question in timed)
                progress(at * len(asked) + done, total)
        return [one.run for one in asked]


def _ask(one: _Asked, question: str, text: str, grades: Mapping[str, int], timed: bool) -> None:
    ranking = one.rank(text)
    for metric, value in query_metrics(ranking, grades).items():
        one.run.values[metric][question] = value
    first = ranking[:DEFAULT_RESULTS]
    one.run.judged.append(sum(id_ in grades for id_ in first) / len(first) if first else 1.0)
    one.run.answers[question] = tuple(ranking[:SHOWN])
    if timed:  # the ranking has warmed whatever can be warm
        started = time.perf_counter()
        one.search(text)
        one.run.times.append(1000 * (time.perf_counter() - started))


def _spread(questions: list[str], wanted: int) -> set[str]:
    """As many of the questions as are wanted, taken evenly."""
    at = np.linspace(0, len(questions) - 1, min(wanted, len(questions))).round().astype(int)
    return {questions[one] for one in at.tolist()}


@contextmanager
def _ready(
    collection: Collection, systems: Sequence[System], check: Callable[[], None]
) -> Iterator[list[_Asked]]:
    """The systems, all of one state of the collection each, with models loaded."""
    precisions = [one.precision for one in systems if one.precision is not None]
    rerankers = {
        one.rerank: one.rerank if by_tokens(one.rerank) else load_reranker(one.rerank)
        for one in systems
        if one.rerank
    }
    servings = {one.id: one for one in collection.servings()}
    with ExitStack() as stack:
        scratch = stack.enter_context(scratch_collections(collection, list(dict.fromkeys(precisions)), check))
        asked = []
        for system in systems:
            rerank: Any = SERVING_RERANKER if system.rerank is None else rerankers.get(system.rerank)
            copied = system.precision is not None
            where = scratch[system.precision] if system.precision is not None else collection
            serving = None if copied else system.serving
            if copied and rerank is SERVING_RERANKER:  # which the copy does not name
                rerank = servings[system.serving].reranker
            if copied and by_tokens(rerank):
                raise BadInput(
                    f"vectors stored as {system.precision} are measured on a copy, which has no vectors of"
                    " tokens to rerank by: choose another reranker with it, or none"
                )
            probe = stack.enter_context(where.probe(serving))
            asked.append(_make_asked(where, system, probe, serving, rerank))
            check()
        yield asked


def _make_asked(
    where: Collection,
    system: System,
    probe: Probe,
    serving: int | None,
    rerank: Any,
) -> _Asked:
    generation, vectors = probe.generation, probe.readers.vectors
    passages = 0 if vectors is None else len(vectors.live_keys)
    memory = round(passages * generation.dimension * _BYTES[generation.precision])
    run = Run(system, generation.model, generation.precision, generation.fingerprint, memory, probe.seq)
    run.reranker = _named(rerank, probe)

    def rank(text: str) -> list[str]:
        return probe.rank(text, mode=system.mode, depth=DEPTH, rerank=rerank)

    def search(text: str) -> object:
        return where.search(text, DEFAULT_RESULTS, mode=system.mode, rerank=rerank, serving=serving)

    return _Asked(run, rank, search)


def _named(rerank: Any, probe: Probe) -> tuple[str, str]:
    if rerank is SERVING_RERANKER:
        recorded = probe.settings.reranker
        return ("", "") if not recorded else (str(recorded["name"]), str(recorded["fingerprint"]))
    if not rerank:
        return "", ""
    if by_tokens(rerank):
        model = (probe.generation.beside or {}).get("tokens")
        return rerank, "" if model is None else str(model["fingerprint"])
    reranker = load_reranker(rerank)
    return reranker.name, reranker_fingerprint(reranker)
