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

from dataclasses import replace

import numpy as np

from app.tuning.data import TuningData
from app.tuning.levers import Fitted, Tell, helps, judge_gains
from indexing.search.settings import Head, SearchSettings

__all__ = ["QueryLever"]

RIDGES = (0.5, 1.0, 2.0, 5.0)
STEPS = (0.5, 1.0, 1.5)
ROUNDS = 3
HARDEST = 10
FEWEST = 10
"""Fewer questions say nothing about all directions."""


class QueryLever:
    """See `Lever`."""

    name = "query"

    def fit(
        self, data: TuningData, positions: np.ndarray, start: SearchSettings, tell: Tell
    ) -> Fitted | None:
        if len(positions) < FEWEST:
            return None
        before = data.ndcg(start, positions)
        folds = data.folds[positions]
        gains = {(ridge, step): np.zeros(len(positions)) for ridge in RIDGES for step in STEPS}
        for fold in np.unique(folds):
            others, here = positions[folds != fold], folds == fold
            if len(others) < 2:
                continue
            for ridge, step in gains:
                head = fit_head(data, others, ridge, step)
                after = data.ndcg(replace(start, head=head), positions[here])
                gains[ridge, step][here] = after - before[here]
        reports = [
            judge_gains(values, {"ridge": ridge, "step": step}) for (ridge, step), values in gains.items()
        ]
        for report in reports:
            tell(f"ridge {report.chosen['ridge']:g}, step {report.chosen['step']:g}", report.gain)
        best = max(reports, key=lambda report: report.gain)
        if not helps(best):
            return None
        head = fit_head(data, positions, best.chosen["ridge"], best.chosen["step"])
        return Fitted(
            self.name, replace(start, head=head), best, f"map of questions, from {len(positions)} judged ones"
        )


def fit_head(data: TuningData, positions: np.ndarray, ridge: float, step: float) -> Head:
    """The map that the questions at `positions` ask for."""
    vectors = data.vectors[positions].astype(np.float64)
    dimension = vectors.shape[1]
    solver = np.linalg.solve(vectors.T @ vectors + ridge * np.eye(dimension), vectors.T)
    change = np.zeros((dimension, dimension))
    for _ in range(ROUNDS):
        moved = vectors + vectors @ change.T
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        moves = np.stack([wanted_move(data, int(at), moved[row]) for row, at in enumerate(positions)])
        change += step / ROUNDS * (solver @ moves).T
    return Head((np.eye(dimension) + change).astype(np.float32))


def wanted_move(data: TuningData, at: int, vector: np.ndarray) -> np.ndarray:
    """Where the vector of a question should go: from the middle of the hardest passages that are not relevant
    to the middle of the relevant ones, by grades; float64 [d].
    """
    pool = data.pools[at]
    move = np.zeros(len(vector))
    if not len(pool.rows):
        return move
    cosines = data.passages[pool.rows] @ vector.astype(np.float32)
    first = np.flatnonzero(np.diff(pool.owners, prepend=-1))
    ends = np.append(first[1:], len(pool.owners))
    best = np.asarray(
        [start + int(np.argmax(cosines[start:end])) for start, end in zip(first, ends, strict=True)]
    )
    gains = pool.gains[pool.owners[best]]
    if not gains.any():
        return move
    good = (gains[:, None] * data.passages[pool.rows[best]]).sum(axis=0)
    move += good / max(float(np.linalg.norm(good)), 1e-12)
    others = best[gains == 0]
    if len(others):
        hardest = others[np.argsort(-cosines[others], kind="stable")[:HARDEST]]
        move -= data.passages[pool.rows[hardest]].mean(axis=0)
    return move
