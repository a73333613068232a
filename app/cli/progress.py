"""How far an indexing run is: a bar in a terminal, a line now and then anywhere else, both on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from app.cli.terminal import terminal_width, warn
from app.text import plain
from app.wording import format_count, format_duration

if TYPE_CHECKING:
    from indexing import AddReport
    from indexing.documents import ReadReport

__all__ = ["ProgressBar"]

_LINE_SECONDS = 5.0


class ProgressBar:
    """A context manager whose `update` is called after every committed batch.

    The share done is bytes read of bytes to read: how many documents there are is only known at the end.
    `committed` is the number of documents that were safe at the last update.
    """

    def __init__(self) -> None:
        self.committed = 0
        self._bar: Any = None
        self._started = self._said = time.monotonic()

    def __enter__(self) -> ProgressBar:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=100,
                ncols=terminal_width(),
                leave=False,
                bar_format="{percentage:3.0f}% |{bar}| {desc} [{elapsed}<{remaining}]",
            )
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, added: AddReport, read: ReadReport) -> None:
        self.committed = added.committed
        share = read.bytes_read / read.bytes_total if read.bytes_total else 0.0
        seconds = time.monotonic() - self._started
        rate = added.committed / seconds if seconds else 0.0
        if self._bar is not None:
            self._bar.set_description_str(
                plain(f"{format_count(added.committed, 'document')}, {rate:,.0f}/s"), refresh=False
            )
            self._bar.update(100 * share - self._bar.n)
        elif share < 1 and time.monotonic() - self._said >= _LINE_SECONDS:
            self._said = time.monotonic()
            left = f", {format_duration(seconds / share - seconds)} left" if share else ""
            warn(f"{share:4.0%}  {format_count(added.committed, 'document')}, {rate:,.0f}/s{left}")
