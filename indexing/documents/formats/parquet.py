"""Parquet, by pyarrow where it is installed. Columns are chosen by name as in the other tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from indexing.documents.fields import Fields, NoText, choose_fields, flat_metadata, make_document
from indexing.documents.formats.bounded import check_parquet, open_seekable
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
        schema = table.schema_arrow
        fields = _fields(schema.names, _string_columns(schema))
        total = max(table.metadata.num_rows, 1)
        row_number = 0
        for batch in table.iter_batches(batch_size=_ROWS_PER_BATCH, use_threads=False):
            for row in batch.to_pylist():
                row_number += 1
                yield _item(file, fields, row, row_number)
            file.bytes_read = file.size * row_number // total


def _item(file: SourceFile, fields: Fields, row: dict[str, Any], number: int) -> Item:
    plain = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}
    metadata: dict[str, Any] = {}
    for refused in flat_metadata(plain, fields.rest, metadata):
        file.note(f"column {refused}")
    text = "\n".join(value for name in fields.text if (value := plain[name]))
    key = plain[fields.id] if fields.id else None
    title = plain[fields.title] if fields.title else ""
    try:
        return make_document(key, f"{file.name}#{number}", title, text, metadata)
    except NoText as error:
        return Skipped(file.source, number, str(error))


def _fields(names: Sequence[str], strings: set[str]) -> Fields:
    fields = choose_fields(names)
    if fields.text and fields.text[0] in strings:
        return fields
    text = tuple(name for name in names if name in strings and name not in (fields.id, fields.title))
    if not text and fields.title is None:
        raise Unreadable(f"no column holds text; the columns are {', '.join(names)}")
    chosen = {fields.id, fields.title, *text}
    return replace(fields, text=text, rest=tuple(name for name in names if name not in chosen))


def _string_columns(schema: Any) -> set[str]:
    import pyarrow.types as types

    def is_text(kind: Any) -> bool:
        if types.is_dictionary(kind):
            kind = kind.value_type
        return types.is_string(kind) or types.is_large_string(kind) or str(kind) == "string_view"

    return {column.name for column in schema if is_text(column.type)}
