"""Means with intervals, and differences that are tested against the baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from app.report.measuring import Run
from app.report.model import TESTED, Difference, Metric
from app.statistics.intervals import bootstrap_interval
from app.statistics.multiple import holm
from app.statistics.power import smallest_detectable
from app.statistics.randomisation import paired_randomisation

__all__ = ["compare_runs", "summarise_run"]

DRAWS = 20_000
"""Signs and samples drawn: at p = .05 the error of p is .0015, which no reader acts on."""


def summarise_run(run: Run) -> dict[str, Metric]:
    """Of each metric the mean, with the interval of a bootstrap over questions."""
    return {
        name: Metric(float(np.mean(list(values.values()))), *_interval(list(values.values())))
        for name, values in run.values.items()
    }


def compare_runs(baseline: Run, others: Sequence[Run]) -> list[dict[str, Difference]]:
    """Of each of `others` its differences from `baseline` in `TESTED`. p is corrected for the number of
    `others`, within each metric.
    """
    found: list[dict[str, Difference]] = [{} for _ in others]
    for name in TESTED:
        apart = [_apart(baseline.values[name], other.values[name]) for other in others]
        ps = [paired_randomisation(one, "two-sided", draws=DRAWS) for one in apart]
        for at, (values, p, corrected) in enumerate(zip(apart, ps, holm(ps), strict=True)):
            found[at][name] = Difference(
                float(values.mean()),
                *_interval(values.tolist()),
                p,
                corrected,
                _finite(smallest_detectable(values), 1.0),
                int((values > 1e-12).sum()),
                int((values < -1e-12).sum()),
            )
    return found


def _apart(before: Mapping[str, float], after: Mapping[str, float]) -> np.ndarray:
    return np.asarray([after[question] - value for question, value in before.items()])


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = bootstrap_interval(np.asarray(values), draws=DRAWS)
    return _finite(low, -1.0), _finite(high, 1.0)


def _finite(value: float, instead: float) -> float:
    """One question says nothing of others: the widest that a metric allows, so that JSON can hold it."""
    return value if math.isfinite(value) else instead
