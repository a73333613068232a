"""Several tests, and the error they make together."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["ALPHA", "alpha_of_look", "holm"]

ALPHA = 0.05


def holm(ps: Sequence[float]) -> list[float]:
    """`ps` of several tests, corrected so that comparing each with alpha makes any false claim among them
    with at most that chance: Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
    """
    order = sorted(range(len(ps)), key=lambda at: ps[at])
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[at]))
        corrected[at] = largest
    return corrected


def alpha_of_look(look: int, alpha: float = ALPHA) -> float:
    """What look number `look`, from 1, at the same questions may spend: alpha * 6 / (pi² look²).

    As the reciprocal squares add up to pi² / 6 (Euler, 1735), all looks together, however many, make a false
    claim with at most `alpha` by Bonferroni's inequality, whatever was learned from the looks before.

    Raises:
        ValueError: looks are counted from 1.
    """
    if look < 1:
        raise ValueError(f"look {look}: the first is 1")
    return alpha * 6 / (math.pi**2 * look**2)
