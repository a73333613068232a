"""A share that is looked at after each vote, as often as one likes.

The chance of `wins` and `losses` with the share mixed over a Beta(1/2, 1/2), over their chance with the share
`p`, is a martingale that starts at 1 where the true share is p. By Ville's inequality it ever reaches 1/alpha
with a chance of at most alpha. So the shares at which it stays below are an interval that holds the true one
at all times at once: Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm" (1970); as
the beta-binomial mixture in Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, Nonparametric, Nonasymptotic
Confidence Sequences" (Annals of Statistics, 2021), of which Waudby-Smith and Ramdas, "Estimating Means of
Bounded Random Variables by Betting" (JRSS B, 2024) is the view as a bet against p.
"""

from __future__ import annotations

import math
from functools import lru_cache

__all__ = ["anytime_interval", "anytime_p"]

_HALF = 0.5


def anytime_interval(wins: int, losses: int, alpha: float = 0.05) -> tuple[float, float]:
    """(low, high) of the chance of a win, right at all times with at least 1 - `alpha`, both sides together.

    Raises:
        ValueError: fewer than no wins or losses.
    """
    _check(wins, losses)
    if not wins + losses:
        return 0.0, 1.0
    return _end(wins, losses, alpha, 0.0), _end(wins, losses, alpha, 1.0)


def anytime_p(wins: int, losses: int) -> float:
    """p of "both win as often", two-sided, valid at whatever moment one stops: one over what the bet against
    it has won.
    """
    _check(wins, losses)
    return min(1.0, math.exp(-_log_bet(wins, losses, 0.5)))


def _check(wins: int, losses: int) -> None:
    if wins < 0 or losses < 0:
        raise ValueError(f"{wins} wins, {losses} losses: give counts")


@lru_cache(maxsize=4096)
def _end(wins: int, losses: int, alpha: float, outermost: float) -> float:
    """Where the bet reaches 1/alpha between `outermost` and the share seen, at which it is lowest."""
    most = math.log(1 / alpha)
    inside, outside = wins / (wins + losses), outermost
    if _log_bet(wins, losses, outermost) < most:
        return outermost
    for _ in range(60):
        middle = (inside + outside) / 2
        if _log_bet(wins, losses, middle) < most:
            inside = middle
        else:
            outside = middle
    return outside  # the wider side


def _log_bet(wins: int, losses: int, share: float) -> float:
    mixed = (
        math.lgamma(wins + _HALF)
        + math.lgamma(losses + _HALF)
        - math.lgamma(wins + losses + 1)
        - math.log(math.pi)  # B(1/2, 1/2)
    )
    if (wins and share <= 0) or (losses and share >= 1):
        return math.inf
    told = (wins * math.log(share) if wins else 0.0) + (losses * math.log1p(-share) if losses else 0.0)
    return mixed - told
