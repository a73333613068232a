"""How many requests one caller may send."""

from __future__ import annotations

from time import monotonic

__all__ = ["Rate"]

_MOST = 10_000


class Rate:
    """A bucket for each caller: `burst` requests at once, and `rate` each second; 0 for no limit."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, when

    def seconds_to_wait(self, who: str) -> float:
        """0 if the request may pass, which it does then; else when the next may."""
        if not self._rate:
            return 0.0
        now = monotonic()
        tokens, when = self._buckets.get(who, (self._burst, now))
        tokens = min(self._burst, tokens + (now - when) * self._rate)
        if tokens < 1:
            self._buckets[who] = tokens, now
            return (1 - tokens) / self._rate
        if len(self._buckets) >= _MOST:
            self._forget_full(now)
        self._buckets[who] = tokens - 1, now
        return 0.0

    def _forget_full(self, now: float) -> None:
        """Those that would be full by now are as good as new ones."""
        self._buckets = {
            who: (tokens, when)
            for who, (tokens, when) in self._buckets.items()
            if tokens + (now - when) * self._rate < self._burst
        }
        if len(self._buckets) >= _MOST:
            self._buckets.clear()
