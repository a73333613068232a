"""Parquet, by pyarrow where it is installed. Columns are chosen by name as in the other tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from indexing.documents.arrow import rows_of_batch, searchable_names
from indexing.documents.fields import NoText, Rows, UnknownField, check_named
from indexing.documents.formats.bounded import check_parquet, open_seekable
from indexing.documents.known_fields import unique_names
from indexing.documents.model import Item, Skipped
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["read"]

_ROWS_PER_BATCH = 1024


def read(file: SourceFile) -> Iterator[Item]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise Unreadable("Parquet needs pyarrow: pip install pyarrow") from None
    check_parquet(lambda: open_seekable(file), file.size)
    with open_seekable(file) as stream, parquet.ParquetFile(stream, pre_buffer=False) as table:
        rows = _rows(file, table.schema_arrow)
        total = table.metadata.num_rows
        if not total:
            raise Unreadable("no text in it")
        number = 0
        for batch in table.iter_batches(batch_size=_ROWS_PER_BATCH, use_threads=False):
            for row in rows_of_batch(batch):
                number += 1
                try:
                    yield rows.document(row, f"{file.name}#{number}")
                except NoText as error:
                    yield Skipped(file.source, number, str(error))
            file.bytes_read = file.size * number // total


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
