"""What the legs say of judged questions as if nobody had judged them, and what settings make of it.

A head or a memory that was learned from a question knows its answer. Cross-validation, and the levers that
come after, see each question as heads and memories see it that were learned from others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from app.tuning.data import SAME_QUESTION, TuningData
from indexing.names import FEATURES, LEGS
from indexing.search.fuse import KEYWORD_CAP, SEMANTIC_WEIGHT, SHARE_CAP, TRUST, USUAL_PEAK
from indexing.search.legs.semantic import SemanticLeg
from indexing.search.legs.sparse import SparseLeg
from indexing.search.ranking import FIRST_DEPTH
from indexing.search.settings import Memory, SearchSettings
from stlib.util.forks import cached_property

__all__ = ["COLUMNS", "View", "make_view", "weight_of"]

COLUMNS = (*LEGS, *FEATURES)
"""What has a weight."""


@dataclass(frozen=True)
class View:
    """m of the questions of `data`, and what the legs say of their p documents.

    Attributes:
        data: the questions.
        positions: which of them, int64 [m].
        semantic: float32 [m, p], with `scale` float64 [m, 2]: see `TuningData`.
        worth: by the memory, float32 [m, p]; None without one.
    """

    data: TuningData
    positions: np.ndarray
    semantic: np.ndarray
    scale: np.ndarray
    worth: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def folds(self) -> np.ndarray:
        return self.data.folds[self.positions]

    def take(self, rows: np.ndarray) -> View:
        """The questions at `rows`, positions or a table of those of this view."""
        worth = None if self.worth is None else self.worth[rows]
        return View(self.data, self.positions[rows], self.semantic[rows], self.scale[rows], worth)

    @cached_property
    def allowed(self) -> np.ndarray:
        """Which documents come up in a search, bool [m, p]: the best of each leg."""
        real = self.data.real[self.positions]
        scores = np.where(real, self.semantic, -np.inf)
        near = np.zeros(real.shape, bool)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :FIRST_DEPTH]
        np.put_along_axis(near, best, True, axis=1)
        allowed = near & real
        if self.data.mode != "semantic":
            allowed |= self.data.by_words[self.positions] | self.data.by_terms[self.positions]
            if self.worth is not None:
                allowed |= self.worth > 0
        return allowed

    @cached_property
    def shares(self) -> dict[str, np.ndarray]:
        """What each leg adds at weight 1, float64 [m, p] each: `indexing.search.fuse.shares`, of many
        questions at once.
        """
        at, data = self.positions, self.data
        found = {"semantic": self._trusted(self.semantic, self.scale, SemanticLeg.usual_weight)}
        if data.terms is not None:
            usual = SparseLeg.usual_weight
            found["sparse"] = self._trusted(data.terms[at], data.terms_scale[at], usual)
        best = [_best(share, self.allowed) for share in found.values()]
        cap = np.maximum(KEYWORD_CAP, np.max(best, axis=0))
        found["keyword"] = _cap(_measure(data.words[at], data.words_scale[at]), self.allowed, cap)
        if self.worth is not None:
            found["memory"] = _cap(self.worth.astype(np.float64), self.allowed, cap)
        return {leg: found[leg] for leg in LEGS if leg in found}

    def _trusted(self, scores: np.ndarray, scale: np.ndarray, usual: float) -> np.ndarray:
        """The shares of a similarity leg: float32 [m, p] with centres and spreads float64 [m, 2]."""
        trust = _measure(scores, scale)
        best = np.maximum(_best(trust, self.allowed), 0.0)
        factor = usual * SEMANTIC_WEIGHT * (best / USUAL_PEAK) ** TRUST
        return _cap(factor * trust, self.allowed, np.array(SHARE_CAP))

    def scores(self, settings: SearchSettings) -> np.ndarray:
        """Fused scores by the weights of `settings`, float64 [m, p]; -inf for what does not come up. Its head
        and its memory are not looked at: they are in the view.
        """
        if self.data.mode == "semantic":
            return np.where(self.allowed, self.semantic.astype(np.float64), -np.inf)
        total = sum(weight_of(settings, leg) * share for leg, share in self.shares.items())
        for name, values in zip(FEATURES, self.data.features, strict=True):
            if weight := settings.features.get(name, 0.0):
                total = total + weight * values[self.positions]
        return np.where(self.allowed, total + self.data.boosts[self.positions], -np.inf)

    def ndcg(self, settings: SearchSettings) -> np.ndarray:
        """NDCG of each question, float64 [m]."""
        return self.data.ndcg(self.positions, self.scores(settings))

    def with_vectors(self, vectors: np.ndarray) -> View:
        """By other vectors of the questions, float32 [m, d]."""
        semantic, scale = self.data.semantic_by(self.positions, vectors)
        return replace(self, semantic=semantic, scale=scale)

    def with_worth(self, recalled: list[Mapping[str, float]]) -> View:
        """With what a memory recalls for each question."""
        return replace(self, worth=self.data.worth_by(self.positions, recalled))


def make_view(data: TuningData, positions: np.ndarray, settings: SearchSettings) -> View:
    """The questions at `positions` as `settings` see them; their memory does not know the questions
    themselves.
    """
    view = View(data, positions, data.semantic[positions], data.semantic_scale[positions])
    if settings.head is not None:
        view = view.with_vectors(settings.head(data.vectors[positions]))
    if settings.memory is not None and data.mode != "semantic":
        view = view.with_worth([_recall_others(settings.memory, one) for one in data.vectors[positions]])
    return view


def _recall_others(memory: Memory, vector: np.ndarray) -> dict[str, float]:
    others = np.flatnonzero(memory.vectors @ vector < SAME_QUESTION)
    if not len(others):
        return {}
    answers = tuple(memory.answers[at] for at in others.tolist())
    return replace(memory, vectors=memory.vectors[others], answers=answers).recall(vector)


def weight_of(settings: SearchSettings, name: str) -> float:
    """Of a leg or a feature."""
    return settings.weights.get(name, 1.0) if name in LEGS else settings.features.get(name, 0.0)


def _measure(scores: np.ndarray, scale: np.ndarray) -> np.ndarray:
    centre, spread = scale[:, :1], scale[:, 1:]
    known = spread > 0
    return np.where(known, (scores.astype(np.float64) - centre) / np.where(known, spread, 1.0), 0.0)


def _best(scores: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    return np.where(allowed, scores, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)


def _cap(scores: np.ndarray, allowed: np.ndarray, cap: np.ndarray) -> np.ndarray:
    return scores * np.minimum(1.0, cap / np.maximum(_best(scores, allowed), 1e-9))
