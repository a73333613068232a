"""Parquet, by pyarrow where it is installed. Columns are chosen by name as in the other tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from indexing.documents.arrow import rows_of_batch, searchable_names
from indexing.documents.fields import NoText, Rows, UnknownField, check_named
from indexing.documents.formats.bounded import check_parquet, open_seekable
from indexing.documents.known_fields import unique_names
from indexing.documents.model import Item, Skipped
from indexing.documents.part import Part
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["check_rows", "read"]

_ROWS_PER_BATCH = 1024


def read(file: SourceFile) -> Iterator[Item]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise Unreadable("Parquet needs pyarrow: pip install pyarrow") from None
    part = file.part
    groups = None if part is None else range(*part.groups)
    end = None if part is None else part.skip + part.rows
    check_parquet(lambda: open_seekable(file), file.size, groups, end)
    with open_seekable(file) as stream, parquet.ParquetFile(stream, pre_buffer=False) as table:
        rows = check_rows(file, table)
        total = table.metadata.num_rows if part is None else part.rows
        number = done = 0 if part is None else part.first - 1
        for batch in _batches(table, groups, part):
            for row in rows_of_batch(batch):
                number += 1
                try:
                    yield rows.document(row, f"{file.name}#{number}")
                except NoText as error:
                    yield Skipped(file.source, number, str(error))
            file.bytes_read = file.size * (number - done) // total


def _batches(table: Any, groups: Iterable[int] | None, part: Part | None) -> Iterator[Any]:
    batches = table.iter_batches(batch_size=_ROWS_PER_BATCH, row_groups=groups, use_threads=False)
    if part is None:
        yield from batches
        return
    at, end = 0, part.skip + part.rows
    for batch in batches:
        first, at = at, at + len(batch)
        if at > part.skip:
            yield batch.slice(max(0, part.skip - first), min(at, end) - max(first, part.skip))
        if at >= end:
            return


def check_rows(file: SourceFile, table: Any) -> Rows:
    """What makes documents of the rows of an open table. Raises `Unreadable` if nothing can."""
    rows = _rows(file, table.schema_arrow)
    if not table.metadata.num_rows:
        raise Unreadable("no text in it")
    return rows


def _rows(file: SourceFile, schema: Any) -> Rows:
    names = unique_names(schema.names)
    try:
        check_named(file.options, names)
    except UnknownField as error:
        raise Unreadable(str(error)) from None
    rows = Rows(file.options, file.note, "column")
    fields = rows.fields(tuple(names))
    if not fields.texts and not fields.titles and not searchable_names(schema) & {*fields.rest}:
        raise Unreadable(f"no column holds text; the columns are {', '.join(names)}")
    return rows
