"""How far a run is: a bar in a terminal, a line now and then anywhere else, both on stderr."""

from __future__ import annotations

import sys
import time
from typing import Any

from app.cli.terminal import terminal_width, warn
from app.text import plain
from app.wording import format_count, format_duration

__all__ = ["ProgressBar"]

_LINE_SECONDS = 5.0


class ProgressBar:
    """A context manager whose `show` is called after every committed batch.

    `committed` is the number of documents that were safe at the last call.
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

    def show(self, share: float, documents: int, said: str = "") -> None:
        """The share of this run that is done, and how many documents that are; `said` is told of them in
        place of how many there are a second.
        """
        self.committed = documents
        seconds = time.monotonic() - self._started
        said = said or f"{documents / seconds if seconds else 0.0:,.0f}/s"
        if self._bar is not None:
            self._bar.set_description_str(
                plain(f"{format_count(documents, 'document')}, {said}"), refresh=False
            )
            self._bar.update(100 * share - self._bar.n)
        elif share < 1 and time.monotonic() - self._said >= _LINE_SECONDS:
            self._said = time.monotonic()
            left = f", {format_duration(seconds / share - seconds)} left" if share else ""
            warn(f"{share:4.0%}  {format_count(documents, 'document')}, {said}{left}")
