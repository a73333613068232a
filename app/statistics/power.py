"""What a test of so many questions could have shown."""

from __future__ import annotations

import math

import numpy as np

from app.statistics.distributions import t_quantile

__all__ = ["POWER", "smallest_detectable"]

POWER = 0.8


def smallest_detectable(
    differences: np.ndarray, alpha: float = 0.05, power: float = POWER, *, inflation: float = 1.0
) -> float:
    """The smallest mean difference that a one-sided test at `alpha` finds in `power` of all cases, with as
    many questions whose `differences` float [n] spread as these; infinite for fewer than two.

    (t[1 - alpha] + t[power]) * s / sqrt(n) with n - 1 degrees of freedom: Cohen, "Statistical Power Analysis
    for the Behavioral Sciences" (1988), chapter 2. A randomisation test of a mean needs about the same.
    `inflation` as for `paired_randomisation`.
    """
    n = len(differences)
    if n < 2:
        return math.inf
    spread = float(np.std(differences, ddof=1)) * math.sqrt(inflation / n)
    return (t_quantile(1 - alpha, n - 1) + t_quantile(power, n - 1)) * spread
