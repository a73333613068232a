"""Bytes on the disk: rows of the catalog in SQLite and PostgreSQL, after compacting, and files of views.

A database packs rows into pages of a fixed size and leaves empty what the next row does not fit into, so a
code of 1,024 bytes takes 1,365: three of them fill a page of SQLite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from indexing.sizing.measured import measured

__all__ = [
    "DATABASES",
    "code_bytes",
    "column_bytes",
    "document_bytes",
    "passage_bytes",
    "sparse_bytes",
    "stored_bytes",
    "table_bytes",
    "token_bytes",
    "words_bytes",
]

DATABASES = ("sqlite", "postgres")

# SQLite: pages of 4,096 bytes, of which the head of a leaf takes 8; a row has nine bytes of length, key and
# types before its bytes, and a pointer of two. Of more than 4,061 bytes a part goes into pages of its own.
_PAGE, _LEAF, _HEAD, _POINTER = 4096, 4088, 9, 2
_TYPES = 4  # of these nine, those that count as content
_INLINE, _LEAST_INLINE, _OVERFLOW = 4061, 489, 4092
_INNER = 1.003  # inner pages of the tree
# PostgreSQL: pages of 8,192 bytes with a head of 24; a row has a head of 24, a key of 8, the length of its
# bytes, and a pointer of four. More than 2,032 bytes go into rows of at most 1,996 in a table beside.
_PG_PAGE, _PG_ROOM, _PG_HEAD, _PG_POINTER = 8192, 8168, 36, 4
_TOAST, _TOAST_ROW, _TOAST_HEAD = 2032, 1996, 40
_PG_KEY = 26  # the entry of a key in its index
# Of a row that spills over, about this much of a page stays empty.
_LOST = 850


def stored_bytes(precision: str, dimension: int) -> int:
    """Bytes of a code itself: binary ones keep int8, by which what their signs found is scored."""
    return dimension * (4 if precision == "float32" else 1)


def code_bytes(dimension: int, precision: str, database: str = "sqlite") -> float:
    """Bytes of a passage's code in the catalog: its row in the table `code`."""
    return table_bytes(stored_bytes(precision, dimension), database)


def table_bytes(content: int, database: str = "sqlite") -> float:
    """Bytes that a row of a key and `content` bytes takes, where all rows are as long."""
    return _sqlite_row(content) if database == "sqlite" else _postgres_row(content)


def _sqlite_row(content: int) -> float:
    inline, overflowing = content + _TYPES, 0
    if inline > _INLINE:
        kept = _LEAST_INLINE + (inline - _LEAST_INLINE) % _OVERFLOW
        kept = kept if kept <= _INLINE else _LEAST_INLINE
        overflowing = math.ceil((inline - kept) / _OVERFLOW)
        inline = kept
    rows = _LEAF // (inline - _TYPES + _HEAD + _POINTER)
    return (_PAGE / rows + overflowing * _PAGE) * _INNER


def _postgres_row(content: int) -> float:
    if content + _PG_HEAD <= _TOAST:
        return _PG_KEY + _packed([_align(content + _PG_HEAD) + _PG_POINTER])
    parts = [_TOAST_ROW] * (content // _TOAST_ROW) + [content % _TOAST_ROW] * (content % _TOAST_ROW > 0)
    beside = [_align(part + _TOAST_HEAD) + _PG_POINTER for part in parts]
    return _PG_KEY * (1 + len(parts)) + _packed([_align(_PG_HEAD + 18) + _PG_POINTER]) + _packed(beside)


def _align(size: int) -> int:
    return -(-size // 8) * 8


def _packed(sizes: Sequence[int]) -> float:
    """Bytes of pages for `sizes` again and again, each on the page of the one before if it fits there."""
    times, free, pages = 512, 0, 0
    for _ in range(times):
        for size in sizes:
            if size > free:
                pages, free = pages + 1, _PG_ROOM
            free -= size
    return pages * _PG_PAGE / times


def document_bytes(characters: float, metadata: float, database: str = "sqlite") -> float:
    """Bytes of a document in the catalog, with its entries in indexes; ids of some 20 characters.

    `characters` of text, one byte each as in English, and `metadata` bytes of JSON, on average.
    """
    known = measured()[database]
    content = characters + metadata
    if database == "postgres" and content + known["document"] > _TOAST:
        content *= known["compressed"]
    row = content + known["document"]
    return row + _lost(row, _LEAF if database == "sqlite" else _PG_ROOM) + known["document_indexes"]


def _lost(row: float, room: int) -> float:
    """What stays empty of pages with `room` bytes for each of their rows, of `row` bytes on average: half a
    row at the end of a page. Of rows that spill over it is part of a page.
    """
    return min(row * row / (2 * room - row), _LOST) if row < room else _LOST


def passage_bytes(database: str = "sqlite") -> float:
    """Bytes of a passage in the catalog beside its code: where it begins and ends, with its index entries."""
    return float(measured()[database]["passage"])


def words_bytes(characters: float) -> float:
    """Bytes of a document of so many characters in the index of words.

    Between the lengths that were measured on the straight line of their logarithms, beyond them along the
    last of these: words come again, so twice the text takes less than twice the room.
    """
    points = measured()["views"]["words"]
    characters = max(characters, 1.0)
    at = next((i for i, (length, _) in enumerate(points[1:-1], 1) if characters < length), len(points) - 1)
    (x0, y0), (x1, y1) = points[at - 1], points[at]
    slope = math.log(y1 / y0) / math.log(x1 / x0)
    return float(y0 * (characters / x0) ** slope)


def sparse_bytes(database: str = "sqlite") -> float:
    """Bytes of a passage's weighted terms: its code in the catalog, and its part of the index of terms."""
    known = measured()["beside"]
    return table_bytes(4 + 3 * known["terms"], database) + known["terms"] * known["term"]


def token_bytes(tokens: float, dimension: int, database: str = "sqlite") -> float:
    """Bytes of the vectors of a passage's tokens in the catalog; no view has them."""
    each = 3 + -(-dimension * measured()["beside"]["token_bits"] // 8)
    return table_bytes(round(tokens * each) + 4, database)


def column_bytes(fields: int) -> float:
    """Bytes of a document in the view of metadata, with `fields` fields of few distinct values each."""
    known = measured()["views"]
    return float(known["document"] + fields * known["field"])
