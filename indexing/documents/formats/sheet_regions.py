"""Which rows of a sheet belong together, and which of them names the columns.

A sheet is no table: it may hold a title, a table, a note and another table. Rows that no blank row parts are
a block. A block with a row of names over its data is a table, whose rows are documents of their own, and so
is what follows it with the same columns after a blank row. Anything else is a region, one document as it
stands.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TypeAlias

__all__ = ["Region", "Row", "Sheet", "TableRow", "cell_text", "column_letters", "split_sheet"]

Cells: TypeAlias = "list[Any]"
Row: TypeAlias = "tuple[int, Cells]"
"""Its number in the sheet, from 1, and its cells from column A on; a blank cell is None."""

# Rows looked at to find the names of the columns, and below them to see that they name something.
_LOOKED_AT = 30
_MOST_ABOVE = 10
_LONGEST_NAME = 120
_FORM_ROWS = 60
MOST_REGION_ROWS = 1000
"""Of one document; a sheet of numbers without names is cut."""


@dataclass
class Sheet:
    """`comments` are those on the cells of a row, by its number; they may come with the rows."""

    name: str
    rows: Iterable[Row]
    comments: dict[int, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class TableRow:
    """A row of a table: its values by the names of the columns, None where a cell is blank."""

    number: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Region:
    """Rows that are read as they stand; `lines` has one for each, from the row `first` on."""

    first: int
    lines: list[str]


def split_sheet(rows: Iterable[Row]) -> Iterator[TableRow | Region]:
    """The tables and regions of a sheet in their order. Holds `MOST_REGION_ROWS` rows at most at once."""
    rest = iter(rows)
    names: _Names | None = None
    while True:
        first = next((row for row in rest if _is_filled(row[1])), None)
        if first is None:
            return
        block = _Block(first, rest)
        head = block.look(_LOOKED_AT)
        if names is None or not names.fit(head):
            at, found = _find_names(head)
            if at:
                yield from _regions(islice(block, at))
            if found is None:
                yield from _regions(block)
                continue
            names = found
            next(block)
        for number, cells in block:
            yield TableRow(number, names.values(cells))


class _Block:
    """Rows up to the next blank one; the first few can be looked at before."""

    def __init__(self, first: Row, rest: Iterator[Row]) -> None:
        self._ahead: list[Row] = [first]
        self._rest = rest
        self._ended = False

    def look(self, count: int) -> list[Row]:
        while len(self._ahead) < count and not self._ended:
            self._take()
        return list(self._ahead)

    def __iter__(self) -> Iterator[Row]:
        return self

    def __next__(self) -> Row:
        if not self._ahead and not self._ended:
            self._take()
        if not self._ahead:
            raise StopIteration
        return self._ahead.pop(0)

    def _take(self) -> None:
        row = next(self._rest, None)
        if row is None or not _is_filled(row[1]):
            self._ended = True
        else:
            self._ahead.append(row)


class _Names:
    """The columns of a table: their places and what they are called."""

    def __init__(self, cells: Cells, below: Sequence[Row]) -> None:
        last = max(_last_filled(row[1]) for row in [(0, cells), *below])
        self._names: list[tuple[int, str]] = []
        self._words = frozenset(place for place, cell in enumerate(cells) if cell is not None)
        taken: set[str] = set()
        for place in range(_first_filled(cells), last + 1):
            name = " ".join(cell_text(_cell(cells, place)).split())
            if not name and all(_cell(row[1], place) is None for row in below):
                continue
            name = name or f"column {column_letters(place)}"
            if name in taken:
                name = f"{name} (column {column_letters(place)})"
            taken.add(name)
            self._names.append((place, name))
        self._texts = {
            place for place, _ in self._names if any(isinstance(_cell(row[1], place), str) for row in below)
        }

    def values(self, cells: Cells) -> dict[str, Any]:
        """By name; a cell beyond the named columns gets the letters of its own."""
        row = {name: _cell(cells, place) for place, name in self._names}
        known = {place for place, _ in self._names}
        for place, cell in enumerate(cells):
            if cell is not None and place not in known:
                row[f"column {column_letters(place)}"] = cell
        return row

    def fit(self, head: Sequence[Row]) -> bool:
        """Whether rows after a blank one go on with this table: within its columns, and with no new names."""
        first = head[0][1]
        places = [place for place, cell in enumerate(first) if cell is not None]
        known = {place for place, _ in self._names}
        if not known.issuperset(places) or (len(places) == 1 and len(known) > 1):
            return False
        as_text = [place for place in places if isinstance(first[place], str)]
        surprising = [place for place in as_text if place not in self._texts]
        return not (surprising and len(as_text) == len(places) and len(head) > 1)


def _find_names(head: Sequence[Row]) -> tuple[int, _Names | None]:
    """(how many rows stand above, the names), or (0, None) if the block is no table."""
    for at, (_, cells) in enumerate(head[: _MOST_ABOVE + 1]):
        below = head[at + 1 :]
        if below and _names_columns(cells, below):
            return at, _Names(cells, below)
    return 0, None


def _names_columns(cells: Cells, below: Sequence[Row]) -> bool:
    """Whether a row names the columns of those below: short texts (years and dates too), all different, over
    nearly all that is filled."""
    filled = [cell for cell in cells if cell is not None]
    if len(filled) < 2 or not all(map(_may_be_name, filled)) or not isinstance(filled[0], str):
        return False
    texts = [cell_text(cell).strip().lower() for cell in filled]
    if len(set(texts)) < len(texts):
        return False
    places = {place for place, cell in enumerate(cells) if cell is not None}
    used = [place for _, row in below for place, cell in enumerate(row) if cell is not None]
    under = sum(place in places for place in used)
    if under < 0.7 * len(used) or max(_count(row) for _, row in below) < 2:
        return False
    text = any(isinstance(row[place], str) for _, row in below for place in places if place < len(row))
    return text and not _is_form(cells, below)


def _is_form(cells: Cells, below: Sequence[Row]) -> bool:
    """Whether a block of two columns is a form: words in the first, and all kinds of values in the second."""
    places = sorted({place for row in (cells, *(row for _, row in below)) for place in _places(row)})
    if len(places) != 2 or len(below) + 1 >= _LOOKED_AT:
        return False
    words = [_cell(row, places[0]) for row in (cells, *(row for _, row in below))]
    values = [_cell(row, places[1]) for _, row in below]
    kinds = {_kind(value) for value in values if value is not None}
    colons = sum(isinstance(word, str) and word.rstrip().endswith(":") for word in words)
    return len(below) < _FORM_ROWS and (2 * colons >= len(words) or len(kinds) > 1)


def _regions(rows: Iterable[Row]) -> Iterator[Region]:
    rest = iter(rows)
    for first in rest:
        some = list(chain([first], islice(rest, MOST_REGION_ROWS - 1)))
        yield Region(first[0], [" ".join(filter(None, map(_on_one_line, cells))) for _, cells in some])


def _on_one_line(cell: Any) -> str:
    return " ".join(cell_text(cell).split())


def cell_text(cell: Any) -> str:
    """A value as it is shown: dates as ISO 8601 texts, whole numbers without a fraction."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, (datetime.date, datetime.time)) else str(cell)


def column_letters(place: int) -> str:
    """A, B, …, Z, AA for the places 0, 1, …"""
    letters = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _may_be_name(cell: Any) -> bool:
    if isinstance(cell, str):
        return len(cell) <= _LONGEST_NAME
    if isinstance(cell, bool):
        return False
    return isinstance(cell, datetime.date) or (isinstance(cell, int) and 1900 <= cell <= 2100)


def _kind(cell: Any) -> str:
    return (
        "number" if isinstance(cell, (int, float)) else "date" if isinstance(cell, datetime.date) else "text"
    )


def _cell(cells: Cells, place: int) -> Any:
    return cells[place] if place < len(cells) else None


def _places(cells: Cells) -> list[int]:
    return [place for place, cell in enumerate(cells) if cell is not None]


def _count(cells: Cells) -> int:
    return sum(cell is not None for cell in cells)


def _is_filled(cells: Cells) -> bool:
    return any(cell is not None for cell in cells)


def _first_filled(cells: Cells) -> int:
    return next((place for place, cell in enumerate(cells) if cell is not None), 0)


def _last_filled(cells: Cells) -> int:
    return next((place for place in range(len(cells) - 1, -1, -1) if cells[place] is not None), 0)
