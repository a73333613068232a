"""The cheap levers in order, each on top of those that helped."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from app.tuning.data import TuningData
from app.tuning.levers import Fitted, Lever
from app.tuning.levers.memory import MemoryLever
from app.tuning.levers.query import QueryLever
from app.tuning.levers.ranking import RankingLever
from indexing.search.settings import SearchSettings

__all__ = ["AUTO", "CHEAP", "fit_levers"]

CHEAP: dict[str, Lever] = {lever.name: lever for lever in (RankingLever(), MemoryLever(), QueryLever())}
"""By name: those that need numpy only and end in seconds."""
AUTO = ("query", "memory", "ranking")
"""Their order: what changes the scores of legs comes before what weighs them."""

TellLever = Callable[[str, str, float], None]


def fit_levers(
    data: TuningData,
    positions: np.ndarray,
    names: Sequence[str],
    start: SearchSettings,
    tell: TellLever = lambda lever, what, gain: None,
) -> tuple[SearchSettings, list[Fitted]]:
    """The settings that the levers `names` make of the questions at `positions`, and what each did that
    helped.
    """
    settings, done = start, []
    for name in names:
        fitted = CHEAP[name].fit(
            data,
            positions,
            settings,
            lambda what, gain, name=name: tell(name, what, gain),  # type: ignore[misc]
        )
        if fitted is not None:
            settings = fitted.settings
            done.append(fitted)
    return settings, done
