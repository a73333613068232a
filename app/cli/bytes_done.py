"""How far something large is, of which nobody knows the end before: a line on stderr now and then."""

from __future__ import annotations

import sys
import time

from app.cli.terminal import rewrite, warn
from app.wording import format_bytes, format_count

__all__ = ["BytesBar"]

_TERMINAL_SECONDS, _LINE_SECONDS = 0.2, 5.0


class BytesBar:
    """A context manager; `show` is called as often as one likes. `unit` is "byte", or what is counted."""

    def __init__(self, unit: str = "byte") -> None:
        self._unit = unit
        self._terminal = sys.stderr.isatty()
        self._said = time.monotonic()
        self._wrote = False

    def __enter__(self) -> BytesBar:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._wrote:
            rewrite()

    def show(self, what: str, done: int, total: int) -> None:
        """`what` is worked on, and how much of it is done."""
        now = time.monotonic()
        if now - self._said < (_TERMINAL_SECONDS if self._terminal else _LINE_SECONDS):
            return
        self._said = now
        size = format_bytes(done) if self._unit == "byte" else format_count(done, self._unit)
        line = f"{done / total if total else 0:4.0%}  {what}: {size}"
        if self._terminal:
            self._wrote = True
            rewrite(line)
        else:
            warn(line)
