"""The cheap levers in order, each on top of those that helped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from app.tuning.data import TuningData
from app.tuning.levers import Fitted, Lever, Stack
from app.tuning.levers.memory import MemoryLever
from app.tuning.levers.query import QueryLever
from app.tuning.levers.ranking import RankingLever
from indexing.search.settings import SearchSettings

__all__ = ["AUTO", "CHEAP", "fit_levers"]

CHEAP: dict[str, Lever] = {lever.name: lever for lever in (RankingLever(), MemoryLever(), QueryLever())}
"""By name: those that need numpy only and end in seconds."""
AUTO = ("ranking", "memory", "query")
"""In this order: the fewest numbers first."""

TellLever = Callable[[str, str, float], None]


def fit_levers(
    data: TuningData,
    positions: np.ndarray,
    names: Sequence[str],
    start: SearchSettings,
    tell: TellLever = lambda lever, what, gain: None,
) -> list[Fitted]:
    """What each of the levers `names` made of the questions at `positions`, on top of those before it; those
    that do not help are left out. The settings of the last one are the result.
    """
    stack, done, left = Stack.of(start, data.folds[positions]), [], list(names)
    while left:
        tried = {name: CHEAP[name].fit(data, positions, stack, partial(tell, name)) for name in left}
        helped = {name: fitted for name, fitted in tried.items() if fitted is not None}
        if not helped:
            break
        best = max(helped, key=lambda name: helped[name].cv.gain - helped[name].cv.error)
        stack = helped[best].stack
        done.append(helped[best])
        left = [name for name in left if name in helped and name != best]
    return done
