"""What a reranker reads of each judged question, and what an order by it is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from app.tuning.data import CUT, DISCOUNTS, TuningData
from app.tuning.negatives import is_negative
from indexing.search.rerank import blend
from indexing.search.settings import SearchSettings

__all__ = ["Reading", "Scores", "TellLoss", "Training", "make_reading"]

Scores = np.ndarray
"""Of the windows of one question, float32 [m]."""

TellLoss = Callable[[float], None]


@dataclass(frozen=True)
class Reading:
    """The n documents that a reranker reads for one question, and their m windows.

    Attributes:
        text: the question.
        gains: grades of the documents, float64 [n].
        wrong: which may be held for wrong answers in training, bool [n].
        retrieved: scores of the retrieval, float32 [n], falling.
        windows: of all documents, one after the other; `starts` int64 [n] says where each document's begin.
        ideal: DCG of the best order there could be.
    """

    text: str
    gains: np.ndarray
    wrong: np.ndarray
    retrieved: np.ndarray
    windows: list[str]
    starts: np.ndarray
    ideal: float

    def best(self, scores: Scores) -> np.ndarray:
        """Of each document the score of its best window, float32 [n]."""
        return np.maximum.reduceat(scores, self.starts) if len(self.starts) else scores

    def best_windows(self, scores: Scores) -> np.ndarray:
        """Positions of the best window of each document, int64 [n]."""
        ends = np.append(self.starts[1:], len(self.windows))
        return np.asarray(
            [
                start + int(np.argmax(scores[start:end]))
                for start, end in zip(self.starts.tolist(), ends.tolist(), strict=True)
            ],
            np.int64,
        )

    def ndcg(self, scores: Scores | None, weight: float) -> float:
        """NDCG at `CUT` of the order that a search has; `scores` None is the retrieval's own."""
        if scores is None:
            total = self.retrieved.astype(np.float64)
        else:
            total = blend(self.best(scores), self.retrieved, weight).sum(axis=0)
        gains = self.gains[np.argsort(-total, kind="stable")[:CUT]]
        return float((gains * DISCOUNTS[: len(gains)]).sum() / self.ideal) if self.ideal else 0.0


def make_reading(data: TuningData, at: int, settings: SearchSettings) -> Reading:
    """What there is to read for the question at `at`, as the retrieval by `settings` finds it."""
    question, pool = data.questions[at], data.pools[at]
    found = data.probe.to_read(question.text, settings, mode=data.mode)
    gains = dict(zip(pool.ids, pool.gains.tolist(), strict=True))
    wrong = dict(zip(pool.ids, is_negative(pool).tolist(), strict=True))
    counts = [len(windows) for windows in found.windows]
    return Reading(
        question.text,
        np.asarray([gains.get(id_, 0.0) for id_ in found.ids], np.float64),
        np.asarray([wrong.get(id_, False) for id_ in found.ids], bool),
        found.retrieved,
        [window for windows in found.windows for window in windows],
        np.cumsum([0, *counts[:-1]]).astype(np.int64) if counts else np.empty(0, np.int64),
        pool.ideal,
    )


class Training(Protocol):
    """Learning of one kind of reranker.

    Attributes:
        shares: of what was learned that are tried, see `app.tuning.trained.interaction.between`.
        folds: of cross-validation, at most: fewer where learning lasts long.
    """

    @property
    def shares(self) -> tuple[float, ...]: ...

    @property
    def folds(self) -> int: ...

    def scores(self, made: Any, reading: Reading) -> Scores:
        """Of the windows of a question by what `learn` made; None is the reranker as it was."""
        ...

    def learn(self, readings: Sequence[Reading], tell: TellLoss) -> dict[float, Any]:
        """A reranker for each share; nothing where there is nothing to learn from."""
        ...

    def weighted(self, made: Any, weight: float) -> Any:
        """What was made, with its share of the score."""
        ...
