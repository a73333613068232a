"""Where the time of a query went."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

__all__ = ["Steps", "Tell"]

Tell: TypeAlias = Callable[[str, float, float], None]
"""Is told a step when it is over: its name, and when it began and ended, as of `time.perf_counter`."""


class Steps:
    """Milliseconds per named step, in the order in which they ran; a step that runs twice is summed.

    `tell` is told each step.
    """

    def __init__(self, tell: Tell | None = None) -> None:
        self.milliseconds: dict[str, float] = {}
        self._tell = tell
        self._started = time.perf_counter()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            self.milliseconds[name] = self.milliseconds.get(name, 0.0) + (ended - started) * 1000
            if self._tell is not None:
                self._tell(name, started, ended)

    @property
    def total(self) -> float:
        """Milliseconds since the query came in."""
        return (time.perf_counter() - self._started) * 1000
