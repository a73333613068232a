"""Quantiles, without SciPy."""

from __future__ import annotations

import math
from statistics import NormalDist

__all__ = ["finite", "normal_quantile", "t_quantile"]

_NORMAL = NormalDist()


def finite(value: float) -> float | None:
    """What JSON can hold: None in place of an infinite number."""
    return value if math.isfinite(value) else None


def normal_quantile(share: float) -> float:
    """Below which a `share` of the standard normal distribution lies."""
    return _NORMAL.inv_cdf(share)


def t_quantile(share: float, freedom: int) -> float:
    """Below which a `share` of Student's t with `freedom` degrees lies; exact to about 1e-10.

    Raises:
        ValueError: a share outside (0, 1), or no degree of freedom.
    """
    if not 0 < share < 1 or freedom < 1:
        raise ValueError(f"share {share}, {freedom} degrees: give 0 < share < 1 and 1 degree or more")
    if share < 0.5:
        return -t_quantile(1 - share, freedom)
    low, high = 0.0, 1.0
    while _t_share(high, freedom) < share:
        low, high = high, high * 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _t_share(middle, freedom) < share else (low, middle)
    return (low + high) / 2


def _t_share(t: float, freedom: int) -> float:
    """P(T <= t) for t >= 0."""
    return 1 - 0.5 * _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function by its continued fraction, evaluated from the front (Lentz's
    method): Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), 26.5.8.
    """
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 1000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / (1 + term * d)
            c = 1 + term / c
            value *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return front * value / a
