"""Whether a file can be read in parts, and which there are: asked before a load is planned, where foreign
files are parsed. The answer is a document whose text is JSON: `{"lines": true}` of a text with a record in
each line, `{"groups": [[rows, begin, end], …]}` of a table, with the bytes that a reader needs of each group.

A file of which there is no answer is read whole, and its reader says what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from indexing.documents.formats import jsonl
from indexing.documents.formats.bounded import Counted, count_parquet, open_seekable
from indexing.documents.formats.parquet import check_rows
from indexing.documents.formats.registry import format_of
from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile, Unreadable, text_encoding

__all__ = ["read"]

# What some writers forget to count: the header of a dictionary page.
_MARGIN = 4096


def read(file: SourceFile) -> Iterator[Item]:
    kind = format_of(file.name)
    if kind == "jsonl":
        answer: dict[str, Any] = {"lines": text_encoding(file).startswith("utf-8") and jsonl.is_lines(file)}
    elif kind == "parquet":
        answer = {"groups": _groups(file)}
    else:
        raise Unreadable("is read whole")
    yield Document(file.name, json.dumps(answer))


def _groups(file: SourceFile) -> list[tuple[int, int, int]]:
    import pyarrow.parquet as parquet

    with open_seekable(file) as stream, parquet.ParquetFile(stream, pre_buffer=False) as table:
        check_rows(file, table)
        metadata = table.metadata
        count_parquet(metadata, Counted(file.size, "unfolds"))
        return [_group(metadata.row_group(number), file.size) for number in range(metadata.num_row_groups)]


def _group(group: Any, size: int) -> tuple[int, int, int]:
    columns = [group.column(index) for index in range(group.num_columns)]
    starts = [
        min(column.dictionary_page_offset or column.data_page_offset, column.data_page_offset)
        for column in columns
    ]
    begin = min(starts)
    end = max(start + column.total_compressed_size for start, column in zip(starts, columns, strict=True))
    if not 0 < begin < end <= size or group.num_rows < 0:
        raise Unreadable("the places of its row groups are wrong")
    return group.num_rows, begin, min(size, end + _MARGIN)
