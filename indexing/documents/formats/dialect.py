"""How a table of text is written: what separates its cells, and where its header is.

Told from the first rows: the separator is what cuts them into the most cells of an equal number. A line
`sep=;`, as Excel writes it, decides instead. Titles of a report above the header, and comments, are passed
over where they are padded with empty cells or followed by an empty line.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Dialect", "find_dialect"]

SEPARATORS = (",", ";", "\t", "|")
NO_SEPARATOR = "\x1f"  # of a table with one column: a character that no text has
_MOST_ABOVE = 20  # rows before the header
_SEP = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """`above` is the number of lines before the header."""

    separator: str
    above: int = 0


@dataclass(frozen=True)
class _Row:
    first_line: int
    cells: list[str]

    @property
    def filled(self) -> int:
        return sum(1 for cell in self.cells if cell and not cell.isspace())


def find_dialect(lines: Sequence[str], *, tabs: bool = False) -> Dialect:
    """The dialect of a table that begins with these lines; `tabs` if its name says that tabs separate."""
    if lines and (found := _SEP.fullmatch(lines[0])):
        return Dialect(found.group(1), 1)
    dialects = [(_judge(lines, separator)) for separator in SEPARATORS]
    if tabs and dialects[SEPARATORS.index("\t")][0] > (0, 0):
        return dialects[SEPARATORS.index("\t")][1]
    score, dialect = max(dialects, key=lambda judged: judged[0])
    return dialect if score > (0, 0) else Dialect("\t" if tabs else NO_SEPARATOR)


def _judge(lines: Sequence[str], separator: str) -> tuple[tuple[float, int], Dialect]:
    """How well the separator does: the share of rows as wide as the header, in tenths, and that width."""
    rows = _rows(lines, separator)
    header = _header(rows)
    if header is None or len(header.cells) < 2:
        return (0, 0), Dialect(separator)
    below = [row for row in rows if row.first_line > header.first_line and row.filled]
    fitting = sum(len(row.cells) == len(header.cells) for row in below)
    score = round((1 + fitting) / (1 + len(below)), 1), len(header.cells)
    return score, Dialect(separator, header.first_line)


def _rows(lines: Sequence[str], separator: str) -> list[_Row]:
    table = csv.reader(lines, delimiter=separator)
    rows: list[_Row] = []
    try:
        while True:
            rows.append(_Row(table.line_num, next(table)))
    except (StopIteration, csv.Error):
        return rows


def _header(rows: Sequence[_Row]) -> _Row | None:
    """The first row that is no title, comment or empty line above a table."""
    for position, row in enumerate(rows[:_MOST_ABOVE]):
        if not row.filled:
            continue
        after = rows[position + 1] if position + 1 < len(rows) else None
        table_follows = any(later.filled > 1 for later in rows[position + 1 : _MOST_ABOVE])
        padded = len(row.cells) > 1
        apart = after is not None and not after.filled
        comment = row.cells[0].lstrip().startswith("#") and not padded
        if row.filled == 1 and table_follows and (padded or apart or comment):
            continue
        return row
    return None
