"""A part of a file that is read alone: lines of a text, or rows of a table."""

from __future__ import annotations

import io
from dataclasses import dataclass

__all__ = ["Part"]


@dataclass(frozen=True)
class Part:
    """What is read of a file.

    `first` is the number of its first line or row in the file, from 1. Lines are those of the bytes from
    `begin` to before `end`, both at the beginning of a line. Rows are `rows` of the groups from number
    `groups[0]` to before `groups[1]`, after `skip` of them.
    """

    first: int
    begin: int = 0
    end: int = 0
    groups: tuple[int, int] = (0, 0)
    skip: int = 0
    rows: int = 0

    @property
    def is_start(self) -> bool:
        """Whether the file begins here: there it says what it is, and what its text is encoded in."""
        return self.first == 1

    def bytes_of(self, stream: io.BufferedReader) -> io.BufferedReader:
        """Of an open file the bytes that are in this part; all of them where it is one of rows."""
        if not self.end:
            return stream
        with stream:
            stream.seek(self.begin)
            return io.BufferedReader(io.BytesIO(stream.read(self.end - self.begin)))
