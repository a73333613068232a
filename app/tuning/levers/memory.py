"""Judged answers of similar past questions as a leg. Its reach and weight come from cross-validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.tuning.data import TuningData, make_memory, worth_of
from app.tuning.levers import Fitted, Tell, helps, judge_gains
from indexing.search.settings import SearchSettings

__all__ = ["MemoryLever"]

REACHES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""From a topic in common to nearly the same words."""
WEIGHTS = (2.0, 4.0, 8.0, 16.0)
"""Where 8 is about what the best document of a leg has."""
NEIGHBOURS = 10


class MemoryLever:
    """See `Lever`."""

    name = "memory"

    def fit(
        self, data: TuningData, positions: np.ndarray, start: SearchSettings, tell: Tell
    ) -> Fitted | None:
        if data.mode == "semantic" or len(positions) < 2:  # the leg is one of the hybrid mode
            return None
        without = replace(start, memory=None)
        before = data.ndcg(start, positions)
        best = None
        for reach in REACHES:
            worth = _worth_held_out(data, positions, reach)
            if not any(one.any() for one in worth.values()):
                continue
            for weight in WEIGHTS:
                settings = _with_weight(without, weight)
                gains = data.ndcg(settings, positions, worth=worth) - before
                report = judge_gains(gains, {"reach": reach, "weight": weight})
                tell(f"reach {reach:g}, weight {weight:g}", report.gain)
                if best is None or report.gain > best.gain:
                    best = report
        if best is None or not helps(best):
            return None
        memory = make_memory(data, positions, best.chosen["reach"], NEIGHBOURS)
        settings = replace(_with_weight(without, best.chosen["weight"]), memory=memory)
        note = f"memory of {len(positions)} judged questions"
        return Fitted(self.name, settings, best, note)


def _with_weight(settings: SearchSettings, weight: float) -> SearchSettings:
    return replace(settings, weights={**settings.weights, "memory": weight})


def _worth_held_out(data: TuningData, positions: np.ndarray, reach: float) -> dict[int, np.ndarray]:
    """Position → what the documents of its pool are worth by the questions of other folds."""
    worth: dict[int, np.ndarray] = {}
    folds = data.folds[positions]
    for fold in np.unique(folds):
        others = positions[folds != fold]
        here = positions[folds == fold]
        if not len(others):
            worth.update({int(at): np.zeros(len(data.pools[at].ids)) for at in here})
            continue
        memory = make_memory(data, others, reach, NEIGHBOURS)
        for at in here.tolist():
            worth[at] = worth_of(data.pools[at], memory.recall(data.vectors[at]))
    return worth
