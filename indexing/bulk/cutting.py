"""Where large files are cut: texts with a record in each line between two lines, tables between two rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from indexing.documents.part import Part
from indexing.documents.source import MAX_WHOLE_FILE, has_one_encoding

__all__ = ["Cut", "cut_lines", "cut_rows"]

# Reading a slice of a group of rows decodes what stands before it in the group.
_MOST_SLICES = 16


@dataclass(frozen=True)
class Cut:
    """A part of a file of so many bytes, and which ranges of bytes are needed to read it."""

    part: Part
    size: int
    ranges: tuple[tuple[int, int], ...]


def cut_lines(
    read: Callable[[int, int], bytes],
    size: int,
    most_bytes: int,
    most_lines: int,
    accept: Callable[[bytes], bool],
) -> list[Cut] | None:
    """The parts of a text of `size` bytes, each of about `most_bytes` or `most_lines` at most; None if it has
    to be read whole, because an encoding would be guessed, or a line is larger than a document may be, or
    because `accept` says no to its first lines. `read` gives the bytes from one place to another; each is
    asked for once.
    """
    cuts: list[Cut] = []
    begin, first = 0, 1
    for block in _whole_lines(read, size, most_bytes):
        if len(block) > MAX_WHOLE_FILE or (not cuts and not accept(block)) or not has_one_encoding(block):
            return None
        ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 10) + 1
        if not len(ends) or ends[-1] != len(block):
            ends = np.append(ends, len(block))
        parts = math.ceil(len(ends) / most_lines)
        before, lines = 0, 0
        for number in range(1, parts + 1):
            after = len(ends) * number // parts
            end = int(ends[after - 1])
            part = Part(first + lines, begin + before, begin + end)
            cuts.append(Cut(part, end - before, ((part.begin, part.end),)))
            before, lines = end, after
        begin, first = begin + len(block), first + len(ends)
    return cuts


def _whole_lines(read: Callable[[int, int], bytes], size: int, most_bytes: int) -> Iterator[bytes]:
    """Blocks of whole lines, of `most_bytes` where a line is no longer than that; one that is much too long
    comes as it is so far.
    """
    pieces: list[bytes] = []
    held = at = 0
    while at < size:
        data = read(at, min(size, at + most_bytes))
        at += len(data)
        end = len(data) if at >= size else data.rfind(b"\n") + 1
        if end:
            yield b"".join([*pieces, memoryview(data)[:end]]) if pieces or end < len(data) else data
            pieces, held = [], 0
        if end < len(data):
            pieces.append(data[end:])
            held += len(data) - end
        if held > MAX_WHOLE_FILE:
            yield b"".join(pieces)
            return


def cut_rows(groups: Sequence[tuple[int, int, int]], most_bytes: int, most_rows: int) -> list[Cut]:
    """The parts of a table whose `groups` have so many rows each, between two places of the file: some
    groups, or slices of a large one.
    """
    cuts: list[Cut] = []
    first = 1
    waiting: list[int] = []
    rows = size = 0

    def take() -> None:
        nonlocal first, rows, size, waiting
        if rows:
            part = Part(first, groups=(waiting[0], waiting[-1] + 1), rows=rows)
            cuts.append(Cut(part, size, tuple(groups[number][1:] for number in waiting)))
        first += rows
        waiting, rows, size = [], 0, 0

    for number, (count, begin, end) in enumerate(groups):
        if waiting and (rows + count > most_rows or size + end - begin > most_bytes):
            take()
        slices = max(math.ceil(count / most_rows), math.ceil((end - begin) / most_bytes))
        slices = min(slices, count, _MOST_SLICES)
        if slices > 1:
            take()
            for at in range(slices):
                skip, after = count * at // slices, count * (at + 1) // slices
                part = Part(first + skip, groups=(number, number + 1), skip=skip, rows=after - skip)
                cuts.append(Cut(part, end - begin, ((begin, end),)))
            first += count
        else:
            waiting.append(number)
            rows, size = rows + count, size + end - begin
    take()
    return cuts
