"""How far the mean of differences may be from what would be seen on all questions there could be."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from app.statistics.distributions import t_quantile

__all__ = ["bootstrap_interval", "lower_bound", "mean_interval"]

BOOTSTRAPS = 10_000
_NORMAL = NormalDist()


def mean_interval(values: np.ndarray, level: float = 0.95, *, inflation: float = 1.0) -> tuple[float, float]:
    """(low, high) of the mean of `values` float [n] by Student's t; infinite for fewer than two.

    "Student", "The Probable Error of a Mean" (1908). For differences of NDCG, which are bounded and many of
    them 0, it covers about as often as it says from some 30 questions on: Sakai, "Laboratory Experiments in
    Information Retrieval" (2018), section 2. `inflation` as for `paired_randomisation`.
    """
    reach = _reach(values, (1 + level) / 2) * math.sqrt(inflation)
    mean = float(np.mean(values)) if len(values) else 0.0
    return mean - reach, mean + reach


def lower_bound(values: np.ndarray, level: float = 0.95) -> float:
    """What the mean is above with `level` of certainty, one-sided; -infinity for fewer than two values."""
    return (float(np.mean(values)) if len(values) else 0.0) - _reach(values, level)


def _reach(values: np.ndarray, share: float) -> float:
    if len(values) < 2:
        return math.inf
    spread = float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return t_quantile(share, len(values) - 1) * spread


def bootstrap_interval(
    values: np.ndarray, level: float = 0.95, *, draws: int = BOOTSTRAPS, seed: int = 0
) -> tuple[float, float]:
    """(low, high) of the mean of `values` float [n] by the bootstrap, corrected for bias and skewness (BCa):
    Efron, "Better Bootstrap Confidence Intervals" (1987). Infinite for fewer than two values.
    """
    values = np.asarray(values, dtype=np.float64)
    n = len(values)
    if n < 2:
        return -math.inf, math.inf
    mean = float(values.mean())
    if np.all(values == values[0]):
        return mean, mean
    generator = np.random.default_rng(seed)
    rows = max(1, 2_000_000 // n)
    means = np.concatenate(
        [
            values[generator.integers(0, n, (min(rows, draws - at), n))].mean(axis=1)
            for at in range(0, draws, rows)
        ]
    )
    below = (float(np.mean(means < mean)) + float(np.mean(means <= mean))) / 2
    bias = _NORMAL.inv_cdf(min(max(below, 1 / (draws + 1)), draws / (draws + 1)))
    apart = values - mean  # of the mean without each value: its n-th part, turned round
    skew = float(np.sum(apart**3)) / (6 * float(np.sum(apart**2)) ** 1.5)
    shares = []
    for z in (_NORMAL.inv_cdf((1 - level) / 2), _NORMAL.inv_cdf((1 + level) / 2)):
        moved = bias + (bias + z) / (1 - skew * (bias + z))
        shares.append(_NORMAL.cdf(moved))
    low, high = np.quantile(means, shares)
    return float(low), float(high)
