"""From which best score on an answer is worth showing as one, learned from judgments."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from app.tuning.data import Judged, TuningData
from app.tuning.legs import View
from indexing.search.settings import SearchSettings

__all__ = ["choose_threshold", "learn_threshold"]

RIGHT_AT = 3
"""An answer is right where one of so many documents is relevant, wrong where none of `CUT` is."""
FEWEST = 10
"""Of each kind."""
# A right answer that is called weak does more harm than a weak one that is not.
MOST_RIGHT_BELOW = 0.05


def learn_threshold(
    data: TuningData, view: View, settings: SearchSettings, unanswered: Iterable[Judged] = ()
) -> float | None:
    """The threshold for `settings`, see `SearchSettings.threshold`, by the questions of `view` and those that
    have only wrong answers; None where they do not tell.
    """
    if data.mode != "hybrid":
        return None
    scores = view.scores(settings)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    relevant = np.take_along_axis(data.gains[view.positions] > 0, order, axis=1)
    best = scores.max(axis=1, initial=-np.inf)
    right, wrong = relevant[:, :RIGHT_AT].any(axis=1), ~relevant.any(axis=1)
    lost = [_best_score(data, question.text, settings) for question in unanswered]
    wrongs = [*best[wrong].tolist(), *(one for one in lost if one is not None)]
    return choose_threshold(best[right], np.asarray(wrongs))


def choose_threshold(right: np.ndarray, wrong: np.ndarray) -> float | None:
    """What best parts the best scores of right answers, float [n], from those of wrong ones, float [m],
    leaving nearly all right ones above; None where there are few, or wrong ones are hardly lower.
    """
    if min(len(right), len(wrong)) < FEWEST:
        return None
    lowest = np.sort(right)[int(MOST_RIGHT_BELOW * len(right))]
    tried = np.unique(np.concatenate([right, wrong]))
    tried = tried[tried <= lowest]
    if not len(tried):
        return None
    below_wrong = (wrong[None] < tried[:, None]).mean(axis=1)
    below_right = (right[None] < tried[:, None]).mean(axis=1)
    parted = below_wrong - below_right
    at = int(np.argmax(parted))
    error = np.sqrt(
        below_wrong[at] * (1 - below_wrong[at]) / len(wrong)
        + below_right[at] * (1 - below_right[at]) / len(right)
    )
    return float(tried[at]) if parted[at] > 2 * error and parted[at] > 0 else None


def _best_score(data: TuningData, text: str, settings: SearchSettings) -> float | None:
    trace = data.probe.trace(text, settings=settings, mode=data.mode)
    if not trace.ids:
        return None
    total = trace.boosts.astype(np.float64)
    for leg, row in zip(trace.legs, trace.shares, strict=True):
        total = total + settings.weights.get(leg, 1.0) * row
    for name, values in trace.features.items():
        total = total + settings.features.get(name, 0.0) * values
    return float(total[trace.found.any(axis=0)].max())
