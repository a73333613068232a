"""How a table of text is written: what separates its cells, and where its header is.

Told from the first rows: the separator is what cuts them into the most cells of an equal number. A line
`sep=;`, as Excel writes it, decides instead. What stands above a header is passed over: titles of a report
and comments, padded with empty cells or followed by an empty line, and rows that fill less than half of the
columns of the table below. Rows that are all wider than their header have columns without a name: the names
of the rows, as R writes them, or more at the end.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from indexing.documents.known_fields import KNOWN_NAMES

__all__ = ["Dialect", "find_dialect"]

_SEPARATORS = (",", ";", "\t", "|")
_SPACE = " "  # only where nothing else separates, and every row has as many cells
_NO_SEPARATOR = "\x1f"  # of a table with one column: a character that no text has
_MOST_ABOVE = 30  # rows before the header
_SEP = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)
_NUMBER = re.compile(r"\s*[-+]?[\d.,]+(?:[eE][-+]?\d+)?\s*%?\s*")


@dataclass(frozen=True)
class Dialect:
    """`above` is the number of lines before the header, `unnamed` of columns that it has no names for, which
    are the first ones if `names_rows`.
    """

    separator: str
    above: int = 0
    unnamed: int = 0
    names_rows: bool = False

    def rows(self, lines: Iterator[str] | Sequence[str], *, strict: bool) -> Iterator[list[str]]:
        """The rows of cells, by the csv module."""
        spaces = self.separator == _SPACE
        return csv.reader(lines, delimiter=self.separator, strict=strict, skipinitialspace=spaces)

    def header(self, cells: list[str]) -> list[str]:
        """The cells of the header, with an empty one for each column that it has no name for."""
        empty = [""] * self.unnamed
        return [*empty, *cells] if self.names_rows else [*cells, *empty]


@dataclass(frozen=True)
class _Row:
    first_line: int
    cells: list[str]

    @property
    def filled(self) -> int:
        return sum(1 for cell in self.cells if cell and not cell.isspace())

    @property
    def width(self) -> int:
        """Cells up to the last that is not empty."""
        return max((place for place, cell in enumerate(self.cells, start=1) if cell.strip()), default=0)


def find_dialect(lines: Sequence[str], *, tabs: bool = False) -> Dialect:
    """The dialect of a table that begins with these lines; `tabs` if its name says that tabs separate."""
    if lines and (found := _SEP.fullmatch(lines[0])):
        return Dialect(found.group(1), 1)
    judged = {separator: _judge(lines, separator) for separator in _SEPARATORS}
    if tabs and judged["\t"][0] > (0, 0):
        return judged["\t"][1]
    # Of two that do as well, the one that leaves nothing above the header.
    score, dialect = max(judged.values(), key=lambda one: (one[0][0], not one[1].above, one[0][1]))
    if score > (0, 0):
        return dialect
    score, dialect = _judge(lines, _SPACE)
    if score >= (1, 3) and len(lines) > 3 and not dialect.above and _has_numbers(lines):
        return dialect
    return Dialect("\t" if tabs else _NO_SEPARATOR)


def _has_numbers(lines: Sequence[str]) -> bool:
    """Whether most lines below the first have a number among their words: lines of prose have none."""
    below = [line.split() for line in lines[1:] if line.strip()]
    return 2 * sum(any(map(_NUMBER.fullmatch, words)) for words in below) > len(below)


def _judge(lines: Sequence[str], separator: str) -> tuple[tuple[float, int], Dialect]:
    """How well the separator does: the share of rows of one width, in tenths, and that width."""
    rows = _rows(lines, separator)
    header = _header(rows)
    if header is None or len(header.cells) < 2:
        return (0, 0), Dialect(separator)
    below = [row for row in rows if row.first_line > header.first_line and row.filled]
    unnamed = _unnamed(len(header.cells), below)
    fitting = sum(len(row.cells) == len(header.cells) + unnamed for row in below)
    score = round((1 + fitting) / (1 + len(below)), 1), len(header.cells) + unnamed
    names_rows = unnamed == 1 and _are_names_of_rows(below, [0, 1] if _are_known(header.cells[:1]) else [0])
    return score, Dialect(separator, header.first_line, unnamed, names_rows)


def _are_names_of_rows(rows: Sequence[_Row], columns: Sequence[int]) -> bool:
    """Whether each cell of these columns is there once. What would stand under `id` has no blanks either."""
    for column in columns:
        cells = [row.cells[column].strip() for row in rows if column < len(row.cells)]
        if len(set(cells)) < len(cells) or (column and " " in "".join(cells)):
            return False
    return True


def _unnamed(width: int, below: Sequence[_Row]) -> int:
    """How many columns nearly all rows have beyond the header's."""
    widths = Counter(row.width for row in below)
    widest, count = max(widths.items(), key=lambda item: item[1], default=(0, 0))
    return widest - width if widest > width and count >= 3 and count >= 0.9 * len(below) else 0


def _rows(lines: Sequence[str], separator: str) -> list[_Row]:
    table = csv.reader(lines, delimiter=separator, skipinitialspace=separator == _SPACE)
    rows: list[_Row] = []
    try:
        while True:
            rows.append(_Row(table.line_num, next(table)))
    except (StopIteration, csv.Error):
        return rows


def _header(rows: Sequence[_Row]) -> _Row | None:
    """The first row that is no title, comment, description or empty line above a table."""
    first = next((row for place, row in enumerate(rows) if row.filled and not _is_above(place, rows)), None)
    width = _table_width(rows)
    if first is None or first.filled * 2 > width or _are_known(first.cells):
        return first
    wide = next((row for row in rows[:_MOST_ABOVE] if row.filled * 2 > width), first)
    numbers = sum(1 for cell in wide.cells if _NUMBER.fullmatch(cell))
    return first if numbers * 2 > wide.filled else wide


def _are_known(cells: Sequence[str]) -> bool:
    """Whether most of these are names that a table's own fields have, so that this is its header."""
    filled = [cell.strip().lower() for cell in cells if cell.strip()]
    return 2 * sum(name in KNOWN_NAMES for name in filled) > len(filled)


def _table_width(rows: Sequence[_Row]) -> int:
    """The width of the rows that make up the most of the table."""
    widths = Counter(row.width for row in rows if row.filled)
    sizes = {width: width * count for width, count in widths.items() if count > 2}
    return max(sizes, key=lambda width: sizes[width], default=0)


def _is_above(position: int, rows: Sequence[_Row]) -> bool:
    """Whether a row is a title or comment above a table: alone, and padded or apart from what follows."""
    row = rows[position]
    if row.filled != 1 or position >= _MOST_ABOVE:
        return False
    after = rows[position + 1] if position + 1 < len(rows) else None
    padded = len(row.cells) > 1
    apart = after is not None and not after.filled
    comment = row.cells[0].lstrip().startswith("#") and not padded
    table_follows = any(later.filled > 1 for later in rows[position + 1 : _MOST_ABOVE])
    return table_follows and (padded or apart or comment)
