"""A linear map of the vectors of questions, documents staying where they are.

Each judged question asks for a move of its vector: towards the middle of its relevant passages, away from the
middle of the hardest others. The map is the ridge regression of these moves on the vectors,

    D = argmin sum |m_i - D q_i|^2 + ridge |D|^2,     q' = q + step * D q,

found in a few rounds, as the hardest passages are others once the vectors have moved. It is Rocchio's query
modification ("Relevance feedback in information retrieval", 1971) made to hold for questions that nobody
judged. Ridge, step and whether it is used at all come from cross-validation. Hill climbing of a softmax over
all documents fits 120 questions by heart instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from app.tuning.data import TuningData
from app.tuning.levers import Fitted, Stack, Tell, choose, judge_gains
from indexing.search.settings import Head, SearchSettings

__all__ = ["QueryLever"]

RIDGES = (5.0, 2.0, 1.0, 0.5)
STEPS = (0.5, 1.0, 1.5)
ROUNDS = 3
HARDEST = 10
FEWEST = 10
"""Fewer questions say nothing about all directions."""


class QueryLever:
    """See `Lever`."""

    name = "query"

    def fit(self, data: TuningData, positions: np.ndarray, start: Stack, tell: Tell) -> Fitted | None:
        if len(positions) < FEWEST:
            return None
        before = start.ndcg(data, positions)
        folds = data.folds[positions]
        lists = {int(at): _make_list(data, int(at)) for at in positions}
        reports = []
        for ridge in RIDGES:
            for step in STEPS:
                gains = np.zeros(len(positions))
                for fold, settings in start.by_fold.items():
                    here = folds == fold
                    head = _fit_head(data, lists, positions[~here], ridge, step)
                    gains[here] = data.ndcg(replace(settings, head=head), positions[here]) - before[here]
                reports.append(judge_gains(gains, {"ridge": ridge, "step": step}))
                tell(f"ridge {ridge:g}, step {step:g}", reports[-1].gain)
        best = choose(reports)
        if best is None:
            return None

        def turn(settings: SearchSettings, chosen: np.ndarray) -> SearchSettings:
            return replace(
                settings, head=_fit_head(data, lists, chosen, best.chosen["ridge"], best.chosen["step"])
            )

        by_fold = {fold: turn(one, positions[folds != fold]) for fold, one in start.by_fold.items()}
        stack = Stack(turn(start.whole, positions), by_fold)
        return Fitted(self.name, stack, best, f"map of questions, from {len(positions)} judged ones")


@dataclass(frozen=True)
class _List:
    """The best passages of a question's documents by its own vector: `good`, the middle of the relevant ones,
    float32 [d], zeros where there is none; and the others, float32 [n, d].
    """

    good: np.ndarray
    others: np.ndarray

    def move(self, vector: np.ndarray) -> np.ndarray:
        """Where the vector of the question should go from `vector`, float32 [d]."""
        if not self.good.any():
            return self.good
        if not len(self.others):
            return self.good
        cosines = self.others @ vector
        hardest = np.argpartition(-cosines, min(HARDEST, len(cosines) - 1))[:HARDEST]
        return self.good - self.others[hardest].mean(axis=0)


def _make_list(data: TuningData, at: int) -> _List:
    pool = data.pools[at]
    if not len(pool.rows):
        none = np.zeros((0, data.vectors.shape[1]), np.float32)
        return _List(np.zeros(data.vectors.shape[1], np.float32), none)
    passages = data.passages[pool.rows]
    order = np.lexsort((-(passages @ data.vectors[at]), pool.owners))
    owners, first = np.unique(pool.owners[order], return_index=True)
    best = passages[order[first]]
    gains = pool.gains[owners].astype(np.float32)
    good = gains @ best
    return _List(good / max(float(np.linalg.norm(good)), 1e-12), best[gains == 0])


def _fit_head(
    data: TuningData, lists: Mapping[int, _List], positions: np.ndarray, ridge: float, step: float
) -> Head:
    """The map that the questions at `positions` ask for."""
    vectors = data.vectors[positions].astype(np.float64)
    dimension = vectors.shape[1]
    solver = np.linalg.solve(vectors.T @ vectors + ridge * np.eye(dimension), vectors.T)
    change = np.zeros((dimension, dimension))
    for _ in range(ROUNDS):
        moved = vectors + vectors @ change.T
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        asked = moved.astype(np.float32)
        moves = np.stack([lists[at].move(asked[row]) for row, at in enumerate(positions.tolist())])
        change += step / ROUNDS * (solver @ moves).T
    return Head((np.eye(dimension) + change).astype(np.float32))
