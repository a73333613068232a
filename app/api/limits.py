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
        if not (wait := self.look(who)):
            self.charge(who)
        return wait

    def look(self, who: str) -> float:
        """As `seconds_to_wait`, and nothing is taken from the bucket."""
        if not self._rate or (tokens := self._tokens(who, monotonic())) >= 1:
            return 0.0
        return (1 - tokens) / self._rate

    def charge(self, who: str) -> None:
        """Take one out of the bucket, if there is one."""
        if not self._rate:
            return
        now = monotonic()
        if who not in self._buckets and len(self._buckets) >= _MOST:
            self._forget_full(now)
        self._buckets[who] = max(0.0, self._tokens(who, now) - 1), now

    def _tokens(self, who: str, now: float) -> float:
        tokens, when = self._buckets.get(who, (self._burst, now))
        return min(self._burst, tokens + (now - when) * self._rate)

    def _forget_full(self, now: float) -> None:
        """Those that would be full by now are as good as new ones."""
        self._buckets = {
            who: (tokens, when)
            for who, (tokens, when) in self._buckets.items()
            if tokens + (now - when) * self._rate < self._burst
        }
        if len(self._buckets) >= _MOST:
            self._buckets.clear()
