"""Judged answers of similar past questions as a leg. Its reach and weight come from cross-validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from app.tuning.data import FEWEST, TuningData, make_memory
from app.tuning.legs import View
from app.tuning.levers import Fitted, Tell, choose, judge_gains
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

    def fit(self, view: View, start: SearchSettings, tell: Tell) -> Fitted | None:
        if view.data.mode == "semantic" or len(view) < FEWEST:  # the leg is one of the hybrid mode
            return None
        before = view.ndcg(start)
        views, reports = {}, []
        for reach in REACHES:
            seen = view.with_worth(_recall_held_out(view, reach))
            if seen.worth is None or not seen.worth.any():
                continue
            views[reach] = seen
            for weight in WEIGHTS:
                gains = seen.ndcg(_with_weight(start, weight)) - before
                reports.append(judge_gains(gains, {"reach": reach, "weight": weight}))
                tell(f"reach {reach:g}, weight {weight:g}", reports[-1].gain)
        best = choose(reports)
        if best is None:
            return None
        reach, weight = best.chosen["reach"], best.chosen["weight"]
        memory = make_memory(view.data, view.positions, reach, NEIGHBOURS)
        settings = replace(_with_weight(start, weight), memory=memory)
        return Fitted(self.name, settings, best, f"memory of {len(view)} judged questions", views[reach])


def _with_weight(settings: SearchSettings, weight: float) -> SearchSettings:
    return replace(settings, weights={**settings.weights, "memory": weight})


def _recall_held_out(view: View, reach: float) -> list[Mapping[str, float]]:
    """What a memory of the questions of other folds recalls for each."""
    data: TuningData = view.data
    found: list[Mapping[str, float]] = [{}] * len(view)
    for fold in np.unique(view.folds):
        others = view.positions[view.folds != fold]
        if len(others):
            memory = make_memory(data, others, reach, NEIGHBOURS)
            for row in np.flatnonzero(view.folds == fold).tolist():
                found[row] = memory.recall(data.vectors[view.positions[row]])
    return found
