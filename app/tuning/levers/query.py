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

from app.tuning.data import FEWEST, TuningData
from app.tuning.legs import View
from app.tuning.levers import Fitted, Tell, choose, judge_gains
from indexing.search.settings import Head, SearchSettings

__all__ = ["QueryLever", "fit_head"]

RIDGES = (0.5, 1.0, 2.0)
STEPS = (0.5, 1.0, 1.5)
ROUNDS = 3
HARDEST = 10
# Hard passages are looked for among so many documents.
LOOKED_AT = 60


class QueryLever:
    """See `Lever`."""

    name = "query"

    def fit(self, view: View, start: SearchSettings, tell: Tell) -> Fitted | None:
        if len(view) < FEWEST:
            return None
        before = view.ndcg(start)
        asks = _Moves(view)
        views, reports = [], []
        for ridge in RIDGES:
            for step in STEPS:
                views.append(_held_out(view, asks, ridge, step))
                gains = views[-1].ndcg(start) - before
                reports.append(judge_gains(gains, {"ridge": ridge, "step": step}))
                tell(f"ridge {ridge:g}, step {step:g}", reports[-1].gain)
        best = choose(reports)
        if best is None:
            return None
        everything = np.arange(len(view))
        head = fit_head(asks, everything, best.chosen["ridge"], best.chosen["step"])
        note = f"map of questions, from {len(view)} judged ones"
        seen = next(one for one, report in zip(views, reports, strict=True) if report is best)
        return Fitted(self.name, replace(start, head=head), best, note, seen)


def _held_out(view: View, asks: _Moves, ridge: float, step: float) -> View:
    """The questions of `view` as heads see them that were learned from those of other folds."""
    moved = view.data.vectors[view.positions].copy()
    for fold in np.unique(view.folds):
        others, here = np.flatnonzero(view.folds != fold), np.flatnonzero(view.folds == fold)
        if len(others) > 1:
            moved[here] = fit_head(asks, others, ridge, step)(moved[here])
    return view.with_vectors(moved)


def fit_head(asks: _Moves, rows: np.ndarray, ridge: float, step: float) -> Head:
    """The map that the questions at `rows` ask for."""
    vectors = asks.vectors[rows].astype(np.float64)
    dimension = vectors.shape[1]
    solver = np.linalg.solve(vectors.T @ vectors + ridge * np.eye(dimension), vectors.T)
    change = np.zeros((dimension, dimension))
    for _ in range(ROUNDS):
        moved = Head((np.eye(dimension) + change).astype(np.float32))(asks.vectors[rows])
        change += step / ROUNDS * (solver @ asks.of(rows, moved)).T
    return Head((np.eye(dimension) + change).astype(np.float32))


class _Moves:
    """Where vectors of questions should go."""

    def __init__(self, view: View) -> None:
        data: TuningData = view.data
        self.vectors = data.vectors[view.positions]
        self._good = np.zeros(self.vectors.shape, np.float32)
        self._bad: list[np.ndarray] = []
        for row, at in enumerate(view.positions.tolist()):
            rows, first = data.rows[at], data.firsts[at]
            if not len(rows):
                self._bad.append(np.zeros((0, self.vectors.shape[1]), np.float32))
                continue
            cosines = data.passages[rows] @ self.vectors[row]
            best = np.maximum.reduceat(cosines, first)
            chosen = np.asarray(
                [
                    start + int(np.argmax(cosines[start:end]))
                    for start, end in zip(first, np.append(first[1:], len(rows)), strict=True)
                ]
            )
            gains = data.gains[at][data.owners[at][first]]
            good = (gains[:, None] * data.passages[rows[chosen]]).sum(axis=0)
            self._good[row] = good / max(float(np.linalg.norm(good)), 1e-12)
            others = np.flatnonzero(gains == 0)
            hard = others[np.argsort(-best[others], kind="stable")[:LOOKED_AT]]
            self._bad.append(data.passages[rows[chosen[hard]]])

    def of(self, rows: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        """From the middle of the passages that are hardest for `vectors` [m, d] of the questions at `rows`
        and not relevant, to the middle of the relevant ones, by grades: float64 [m, d].
        """
        moves = self._good[rows].astype(np.float64)
        for place, row in enumerate(rows.tolist()):
            bad = self._bad[row]
            if len(bad):
                hardest = np.argsort(-(bad @ vectors[place]), kind="stable")[:HARDEST]
                moves[place] -= bad[hardest].mean(axis=0)
        moves[~self._good[rows].any(axis=1)] = 0.0
        return moves
