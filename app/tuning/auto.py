"""The cheap levers in order, each on top of those that helped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from app.tuning.data import TuningData
from app.tuning.legs import make_view
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
"""As `Tell`, with the name of the lever first."""


def _tell_nobody(lever: str, what: str, gain: float) -> None:
    pass


def fit_levers(
    data: TuningData,
    positions: np.ndarray,
    names: Sequence[str],
    start: SearchSettings,
    tell: TellLever = _tell_nobody,
) -> tuple[SearchSettings, list[Fitted]]:
    """The settings that the levers `names` make of the questions at `positions` on top of `start`, and what
    each did that helped.
    """
    settings, view, done = start, make_view(data, positions, start), []
    for name in names:
        fitted = CHEAP[name].fit(view, settings, partial(tell, name))
        if fitted is not None:
            assert fitted.view is not None
            settings, view = fitted.settings, fitted.view
            done.append(fitted)
    return settings, done
