"""The lines of a table of text, which a row may take and give back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

__all__ = ["Lines"]


class Lines:
    """The lines of a file, whether they end in `\\n`, `\\r\\n` or `\\r`; those that a row took can be given
    back, after which iterating begins anew.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._back: deque[str] = deque()
        self.before = 0  # lines before those that were taken
        self.taken: list[str] = []  # since the row began

    def __iter__(self) -> Iterator[str]:
        back, take = self._back, self.taken.append
        while True:
            while back:
                line = back.popleft()
                take(line)
                yield line
            for line in self._lines:
                first_return = line.find("\r")
                if first_return >= 0 and first_return != len(line) - 2:
                    back.extend(_split_at_returns(line))
                    break
                take(line)
                yield line
                if back:
                    break
            else:
                return

    def give_back(self, kept: int = 0) -> None:
        """All lines that the row took but the first `kept` are to be read again."""
        self._back.extendleft(reversed(self.taken[kept:]))
        del self.taken[kept:]


def _split_at_returns(line: str) -> list[str]:
    if line.endswith("\r\n"):
        line = line[:-2] + "\n"
    *parts, last = line.split("\r")
    return [part + "\n" for part in parts] + [last] * bool(last)
