"""Tables as text: CSV (RFC 4180, with `,` `;` or `|`) and TSV (no quoting, as IANA defines it).

The first row names the columns. Text is the column called text, content, body, abstract or description,
else all columns of text, joined by line breaks. A column holds numbers, or booleans (`true` and `false` in
any case), only if every cell among the first rows does: postal codes with one "01067" stay text. NaN and
Infinity among numbers are no value.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain

from indexing.documents.fields import (
    Fields,
    Kind,
    NoText,
    choose_fields,
    convert_cell,
    kind_of,
    make_document,
)
from indexing.documents.model import Item, Skipped
from indexing.documents.source import SourceFile, Unreadable, text_lines

__all__ = ["read"]

_FIELD_LIMIT = 256 * 2**20
_SAMPLE_ROWS, _SAMPLE_CHARACTERS = 1000, 4 * 2**20
_SEPARATORS = (",", ";", "|", "\t")


@dataclass(frozen=True)
class _Row:
    line: int
    cells: list[str]


def read(file: SourceFile) -> Iterator[Item]:
    with _field_limit():
        rows = _tsv_rows(file) if file.path.lower().endswith(".tsv") else _csv_rows(file)
        header = next(rows, None)
        if header is None:
            raise Unreadable("no text in it")
        if isinstance(header, Skipped):
            raise Unreadable(f"the header cannot be read: {header.reason}")
        names = _column_names(header.cells)
        sample = _sample(rows)
        kinds = _kinds(len(names), [row.cells for row in sample if isinstance(row, _Row)])
        yield from _documents(file, names, kinds, chain(sample, rows))


def _documents(
    file: SourceFile, names: list[str], kinds: list[Kind], rows: Iterator[_Row | Skipped]
) -> Iterator[Item]:
    fields = _with_text(choose_fields(names), names, kinds)
    columns = {name: column for column, name in enumerate(names)}
    for row in rows:
        if isinstance(row, Skipped):
            yield row
            continue
        cells = row.cells
        if len(cells) != len(names):
            reason = f"{len(cells)} cells where the header has {len(names)}"
            yield Skipped(file.source, row.line, reason)
            continue
        text = "\n".join(cell for name in fields.text if (cell := cells[columns[name]].strip()))
        key = cells[columns[fields.id]].strip() if fields.id else None
        title = cells[columns[fields.title]].strip() if fields.title else ""
        values = {
            name: convert_cell(cell, kinds[columns[name]])
            for name in fields.rest
            if (cell := cells[columns[name]].strip())
        }
        metadata = {name: value for name, value in values.items() if value is not None}
        for name in values.keys() - metadata.keys():
            file.note(f"column {name!r} was left out of the metadata where it holds NaN or Infinity")
        try:
            yield make_document(key, f"{file.name}#{row.line}", title, text, metadata)
        except NoText as error:
            yield Skipped(file.source, row.line, str(error))


def _with_text(fields: Fields, names: list[str], kinds: list[Kind]) -> Fields:
    """Where no column is called like text: every column of text, in order."""
    if fields.text:
        return fields
    taken = (fields.id, fields.title)
    text = tuple(n for n, kind in zip(names, kinds, strict=True) if kind == "text" and n not in taken)
    if not text and fields.title is None:
        raise Unreadable(f"no column holds text; the columns are {', '.join(names)}")
    return replace(fields, text=text, rest=tuple(name for name in fields.rest if name not in text))


def _column_names(cells: list[str]) -> list[str]:
    """Names without blanks around them; unnamed and repeated columns get a name of their own."""
    names: list[str] = []
    taken: set[str] = set()
    for position, cell in enumerate(cells, start=1):
        name = cell.strip() or f"column {position}"
        name = name if name not in taken else f"{name} (column {position})"
        taken.add(name)
        names.append(name)
    return names


def _sample(rows: Iterator[_Row | Skipped]) -> list[_Row | Skipped]:
    """The first rows, enough to see what the columns hold and few enough to keep in memory."""
    sample: list[_Row | Skipped] = []
    characters = 0
    for row in rows:
        sample.append(row)
        characters += sum(map(len, row.cells)) if isinstance(row, _Row) else 0
        if len(sample) >= _SAMPLE_ROWS or characters > _SAMPLE_CHARACTERS:
            break
    return sample


def _kinds(width: int, rows: list[list[str]]) -> list[Kind]:
    return [
        kind_of(cells[column].strip() for cells in rows if column < len(cells)) for column in range(width)
    ]


def _tsv_rows(file: SourceFile) -> Iterator[_Row | Skipped]:
    for line, text in enumerate(text_lines(file), start=1):
        if not text.isspace():
            yield _Row(line, [_unquote(cell) for cell in text.rstrip("\r\n").split("\t")])


def _unquote(cell: str) -> str:
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        return cell[1:-1].replace('""', '"')
    return cell


def _csv_rows(file: SourceFile) -> Iterator[_Row | Skipped]:
    lines = text_lines(file)
    first = next(lines, "")
    table = csv.reader(chain([first], lines), delimiter=_separator(first), strict=True)
    while True:
        line = table.line_num + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            yield Skipped(file.source, line, _csv_reason(error, line, table.line_num))
            continue
        if any(cell and not cell.isspace() for cell in cells):
            yield _Row(line, cells)


def _csv_reason(error: csv.Error, line: int, last_line: int) -> str:
    if "unexpected end of data" in str(error):
        return f"a quote that opens here is never closed; lines {line} to {last_line} were not read"
    return f"not valid CSV: {error}"


def _separator(header: str) -> str:
    """The candidate that splits the header most often, outside quotes; a comma if none does."""
    bare = "".join(header.split('"')[::2])
    return max(_SEPARATORS, key=bare.count)


@contextmanager
def _field_limit() -> Iterator[None]:
    """The csv module refuses cells over 128 KiB unless told otherwise, and only process-wide."""
    previous = csv.field_size_limit(_FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(previous)
