"""Tables as text: CSV (RFC 4180, with any usual separator) and TSV (quotes are obeyed where they close).

The first row names the columns; `dialect` says what separates them, `indexing.documents.fields` which is the
id, the title and the text, and what is searched. Cells that a row lacks at its end are empty, and empty cells
beyond the header are dropped. A row that cannot be read is named and the next line is read, whatever a quote
in it seemed to swallow. Quotes escaped by a backslash are read where a row makes no sense without.

A column holds numbers, or booleans (`true` and `false` in any case), if nearly every cell among the first
rows does, see `cells.kind_of`: postal codes with one "01067" stay text. NaN and Infinity among numbers are no
value.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import PurePath
from typing import Any, TypeAlias

from indexing.documents.fields import Fields, NoText, Rows, UnknownField, check_named
from indexing.documents.formats.cells import Kind, convert_cell, kind_of, written_as_floats
from indexing.documents.formats.dialect import Dialect, find_dialect
from indexing.documents.formats.table_lines import Lines
from indexing.documents.known_fields import unique_names
from indexing.documents.model import Item, Skipped
from indexing.documents.source import SourceFile, Unreadable, text_lines
from indexing.documents.values import identifies

__all__ = ["read"]

_FIELD_LIMIT = 256 * 2**20
_SAMPLE_ROWS, _SAMPLE_CHARACTERS = 1000, 4 * 2**20
_SNIFFED_LINES, _SNIFFED_CHARACTERS = 200, 2**18
_NULL = "\\N"  # as databases write no value
_MOST_LINES = 1000  # of a row with escaped quotes
_ESCAPED = re.compile(r'\\(["\\])')

_Row: TypeAlias = "tuple[int, list[str]]"  # its first line, its cells


def read(file: SourceFile) -> Iterator[Item]:
    with _field_limit():
        table = _Table(file)
        rows = table.rows()
        header = next(rows, None)
        if header is None:
            raise Unreadable("no text in it")
        if isinstance(header, Skipped):
            raise Unreadable(f"the header cannot be read: {header.reason}")
        names = unique_names([" ".join(cell.split()) for cell in table.dialect.header(header[1])])
        table.width = len(names)
        sample = _sample(rows)
        if not sample:
            raise Unreadable("no text in it")
        yield from _documents(file, names, sample, rows, table.dialect.separator == ";")


def _documents(
    file: SourceFile,
    names: list[str],
    sample: list[_Row | Skipped],
    rest: Iterator[_Row | Skipped],
    decimal_comma: bool,
) -> Iterator[Item]:
    try:
        check_named(file.options, names)
    except UnknownField as error:
        raise Unreadable(str(error)) from None
    rows = Rows(file.options, file.note, "column", blanks=False, place=file.name)
    fields = rows.fields(tuple(names))
    filled = [row[1] for row in sample if not isinstance(row, Skipped)]
    nulls = any(_NULL in cells for cells in filled)
    columns = [[cells[column].strip() for cells in filled] for column in range(len(names))]
    kinds = {
        name: kind_of(column, decimal_comma=decimal_comma)
        for name, column in zip(names, columns, strict=True)
    }
    _check_searchable(fields, kinds)
    kept = {fields.id, *fields.texts} if fields.chosen else {fields.id, *fields.texts, *fields.titles}
    typed = [(name, kind) for name, kind in kinds.items() if kind != "text" and name not in kept]
    float_ids = fields.id is not None and written_as_floats(columns[names.index(fields.id)])

    for entry in chain(sample, rest):
        if isinstance(entry, Skipped):
            yield entry
            continue
        line, cells = entry
        if nulls:
            cells = ["" if cell == _NULL else cell for cell in cells]
        row: dict[str, Any] = dict(zip(names, map(str.strip, cells), strict=True))
        for column, kind in typed:
            if cell := row[column]:
                row[column] = value = convert_cell(cell, kind)
                if value is None:
                    file.note(
                        f"column {column!r} was left out of the metadata where it holds NaN or Infinity"
                    )
        if float_ids and fields.id is not None:
            row[fields.id] = row[fields.id].removesuffix(".0")
        try:
            yield rows.document(row, "", line)
        except NoText as error:
            yield Skipped(file.source, line, str(error))


def _check_searchable(fields: Fields, kinds: dict[str, Kind]) -> None:
    searched = (*fields.texts, *fields.titles)
    if not searched and not any(kinds[name] == "text" or identifies(name) for name in fields.rest):
        raise Unreadable(f"no column holds text; the columns are {', '.join(kinds)}")


def _sample(rows: Iterator[_Row | Skipped]) -> list[_Row | Skipped]:
    """The first rows, enough to see what the columns hold and few enough to keep in memory."""
    sample: list[_Row | Skipped] = []
    characters = 0
    for row in rows:
        sample.append(row)
        characters += 0 if isinstance(row, Skipped) else sum(map(len, row[1]))
        if len(sample) >= _SAMPLE_ROWS or characters > _SAMPLE_CHARACTERS:
            break
    return sample


class _Table:
    """Rows of cells. `width` is the number of columns, once the header is known."""

    def __init__(self, file: SourceFile) -> None:
        self._file = file
        self._lines = Lines(text_lines(file))
        self._tabs = any(suffix.lower() in (".tsv", ".tab") for suffix in PurePath(file.name).suffixes[-2:])
        self.dialect = Dialect(",")
        self.width = 0

    def rows(self) -> Iterator[_Row | Skipped]:
        lines = self._lines
        self.dialect = find_dialect(self._first_lines(), tabs=self._tabs)
        list(islice(lines, self.dialect.above))
        taken = lines.taken
        table = self.dialect.rows(iter(lines), strict=True)
        while True:
            lines.before += len(taken)
            taken.clear()
            first = lines.before + 1
            try:
                cells = next(table)
            except StopIteration:
                return
            except csv.Error as error:
                rows = self._mended(first, str(error))
            else:
                if len(taken) > 1:
                    cells = [cell.replace("\r\n", "\n") for cell in cells]
                if cells and len(cells) == self.width and (not self._tabs or len(taken) == 1):
                    if (cells[0] and not cells[0].isspace()) or not _is_blank(cells):
                        yield first, cells
                    continue
                rows = self._judged(first, cells)
            yield from rows
            table = self.dialect.rows(iter(lines), strict=True)

    def _judged(self, line: int, cells: list[str]) -> Iterator[_Row | Skipped]:
        """The header, or a row that is of another length or that tabs may belong between the lines of."""
        if _is_blank(cells):
            return
        if len(cells) != self.width and self.width:
            yield from self._fitted(line, cells)
        elif self._tabs and len(self._lines.taken) > 1 and self._each_is_a_row():
            yield from self._mended(line, "")
        else:
            yield line, cells

    def _first_lines(self) -> list[str]:
        sniffed: list[str] = []
        characters = 0
        for line in self._lines:
            sniffed.append(line)
            characters += len(line)
            if len(sniffed) >= _SNIFFED_LINES or characters > _SNIFFED_CHARACTERS:
                break
        self._lines.give_back()
        return sniffed

    def _fitted(self, line: int, cells: list[str]) -> Iterator[_Row | Skipped]:
        """A row of another length than the header's."""
        over = cells[self.width :]
        if not _is_blank(over) or (self._tabs and len(self._lines.taken) > 1):
            yield from self._mended(line, f"{len(cells)} cells where the header has {self.width}")
            return
        if len(cells) < self.width:
            self._file.note("has rows that end early: the cells they lack were read as empty")
        yield line, cells[: self.width] + [""] * (self.width - len(cells))

    def _mended(self, line: int, reason: str) -> Iterator[_Row | Skipped]:
        """What can be made of a row that makes no sense; the lines after its first are read again."""
        lines = self._lines
        if '\\"' in "".join(lines.taken) and (cells := self._unescaped()) is not None:
            yield line, cells
            return
        if self._tabs or not reason[:1].isdigit():
            lines.give_back(1)
        if self._tabs:
            bare = lines.taken[0]
            cells = [_unquote(cell) for cell in bare.rstrip("\r\n").split(self.dialect.separator)]
            if self.width in (0, len(cells)):
                yield line, cells
                return
        if "unexpected end of data" in reason:
            reason = "a quote that opens here is never closed"
        elif not reason[:1].isdigit():
            reason = f"not valid CSV: {reason}"
        yield Skipped(self._file.source, line, reason)

    def _unescaped(self) -> list[str] | None:
        """The row with `\\"` for a quote; None if that does not make one of the right length."""
        lines = self._lines
        lines.give_back()
        mended = (
            _ESCAPED.sub(lambda found: '""' if found[1] == '"' else "\\", line)
            for line in islice(lines, _MOST_LINES)
        )
        try:
            cells = next(self.dialect.rows(mended, strict=True))
        except (csv.Error, StopIteration):
            return None
        while self.width < len(cells) and self.width and not cells[-1].strip():
            cells.pop()
        return cells if self.width in (0, len(cells)) else None

    def _each_is_a_row(self) -> bool:
        """Whether each of the lines that a quote holds together is a row by itself."""
        return all(line.count(self.dialect.separator) + 1 == self.width for line in self._lines.taken)


def _is_blank(cells: list[str]) -> bool:
    return not any(cells) or not "".join(cells).strip()


def _unquote(cell: str) -> str:
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


@contextmanager
def _field_limit() -> Iterator[None]:
    """The csv module refuses cells over 128 KiB unless told otherwise, and only process-wide."""
    previous = csv.field_size_limit(_FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(previous)
