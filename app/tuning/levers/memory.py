"""Judged answers of similar past questions as a leg. Its reach and weight come from cross-validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.tuning.data import TuningData, make_memory, worth_of
from app.tuning.levers import Fitted, Stack, Tell, choose, judge_gains
from indexing.search.settings import SearchSettings

__all__ = ["MemoryLever"]

REACHES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
"""From nearly the same words to a topic in common."""
WEIGHTS = (2.0, 4.0, 8.0, 16.0)
"""Where 8 is about what the best document of a leg has."""
NEIGHBOURS = 10


class MemoryLever:
    """See `Lever`."""

    name = "memory"

    def fit(self, data: TuningData, positions: np.ndarray, start: Stack, tell: Tell) -> Fitted | None:
        if data.mode == "semantic" or len(positions) < 2:  # the leg is one of the hybrid mode
            return None
        before = start.ndcg(data, positions)
        folds = data.folds[positions]
        reports = []
        for reach in REACHES:
            worth = _worth_held_out(data, positions, reach)
            if not any(one.any() for one in worth.values()):
                continue
            for weight in WEIGHTS:
                gains = np.zeros(len(positions))
                for fold, settings in start.by_fold.items():
                    here = folds == fold
                    after = data.ndcg(_with_weight(settings, weight), positions[here], worth=worth)
                    gains[here] = after - before[here]
                reports.append(judge_gains(gains, {"reach": reach, "weight": weight}))
                tell(f"reach {reach:g}, weight {weight:g}", reports[-1].gain)
        best = choose(reports)
        if best is None:
            return None

        def remember(settings: SearchSettings, chosen: np.ndarray) -> SearchSettings:
            memory = make_memory(data, chosen, best.chosen["reach"], NEIGHBOURS) if len(chosen) else None
            return replace(_with_weight(settings, best.chosen["weight"]), memory=memory)

        by_fold = {fold: remember(one, positions[folds != fold]) for fold, one in start.by_fold.items()}
        stack = Stack(remember(start.whole, positions), by_fold)
        return Fitted(self.name, stack, best, f"memory of {len(positions)} judged questions")


def _with_weight(settings: SearchSettings, weight: float) -> SearchSettings:
    return replace(settings, memory=None, weights={**settings.weights, "memory": weight})


def _worth_held_out(data: TuningData, positions: np.ndarray, reach: float) -> dict[int, np.ndarray]:
    """Position → what the documents of its pool are worth by the questions of other folds."""
    worth: dict[int, np.ndarray] = {}
    folds = data.folds[positions]
    for fold in np.unique(folds):
        others, here = positions[folds != fold], positions[folds == fold]
        memory = make_memory(data, others, reach, NEIGHBOURS) if len(others) else None
        for at in here.tolist():
            recalled = {} if memory is None else memory.recall(data.vectors[at])
            worth[at] = worth_of(data.pools[at], recalled)
    return worth
