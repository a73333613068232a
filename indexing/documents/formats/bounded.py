"""Bounds that all readers share on what a file expands to: members of a zip, columns of Parquet, characters.

Compressed streams are bounded where they are opened (`indexing.documents.unpack`). Everything here raises
`Unreadable` with a plain reason, so that a bomb costs the file that it is.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile
from indexing.documents.unpack import FREE, RATIO, Counted, most_bytes, show_size
from indexing.documents.unreadable import Unreadable

__all__ = [
    "FREE",
    "MAX_MEMBER",
    "MAX_MEMBERS",
    "RATIO",
    "Counted",
    "bounded_items",
    "check_parquet",
    "count_parquet",
    "most_bytes",
    "open_seekable",
    "open_zip",
    "read_bounded",
    "read_member",
]

MAX_MEMBER = 256 * 2**20
"""Bytes of one member of a container, unpacked: as much as a file of one document may have."""
MAX_MEMBERS = 20_000
"""Members of one container. Their list is read whole, and a directory of millions costs nothing to write."""

# What `zipfile` raises for a member that is damaged, or packed in a way it does not know.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
# What a document or a skipped row counts, however short it is: a million of them may come from any file.
_ITEM = 64
# Encodings of Parquet by which a text is written once and meant as often as its number stands in the rows.
_NAMING = frozenset(("PLAIN_DICTIONARY", "RLE_DICTIONARY"))


def open_seekable(file: SourceFile) -> BinaryIO:
    """The bytes of a file for a library that jumps about in them; a compressed one is unpacked to memory."""
    stream = file.open()
    if stream.seekable():
        return stream
    with stream:
        return io.BytesIO(read_bounded(stream))


def read_bounded(stream: BinaryIO, limit: int = MAX_MEMBER) -> bytes:
    """All of `stream`, which may have `limit` bytes. Raises `Unreadable` if there are more."""
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise Unreadable(f"has more than {show_size(limit)} in one piece; split it")
    return data


def open_zip(stream: BinaryIO, size: int) -> zipfile.ZipFile:
    """A zip container of `size` bytes whose members, all together, unpack to no more than they should.

    What the directory says is enough: reading a member stops at the size that it gives there. So a file that
    passed may also be opened by a library that uses Python's `zipfile`. Raises `Unreadable`.
    """
    try:
        container = zipfile.ZipFile(stream)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, UnicodeDecodeError) as error:
        raise Unreadable(f"is not a valid zip container: {error}") from error
    members = container.infolist()
    if len(members) > MAX_MEMBERS:
        raise Unreadable(f"holds {len(members):,} files, a container may have {MAX_MEMBERS:,}")
    Counted(size).take(sum(member.file_size for member in members))
    return container


def read_member(container: zipfile.ZipFile, member: str | zipfile.ZipInfo, limit: int = MAX_MEMBER) -> bytes:
    """One member, which may have `limit` bytes. Raises `Unreadable`; `KeyError` for a missing one."""
    info = container.getinfo(member) if isinstance(member, str) else member
    if info.flag_bits & 1:
        raise Unreadable("is encrypted")
    if info.file_size > limit:
        raise Unreadable(
            f"{info.filename} unpacks to {show_size(info.file_size)}, {show_size(limit)} are allowed"
        )
    try:
        with container.open(info) as stream:
            return read_bounded(stream, limit)  # type: ignore[arg-type]  # a readable stream of bytes
    except _BROKEN as error:
        raise Unreadable(f"{info.filename} cannot be unpacked: {error}") from error


def bounded_items(items: Iterable[Item], file: SourceFile) -> Iterator[Item]:
    """`items` until their texts and fields have more characters than a file of this size can mean.

    Formats that name a value once and use it often (shared strings, dictionaries, entities) are bounded by
    this whatever their reader does. Raises `Unreadable` then.
    """
    counted = Counted(file.size, "unfolds")
    for item in items:
        amount = _ITEM
        if type(item) is Document:
            amount += len(item.text) + len(item.title)
            for value in item.metadata.values():
                if type(value) is str:
                    amount += len(value)
        counted.left -= amount
        if counted.left < 0:
            counted.take(0)
        yield item


def check_parquet(
    open_file: Callable[[], BinaryIO], size: int, groups: Iterable[int] | None = None, most: int | None = None
) -> None:
    """Raises `Unreadable` for a Parquet file of `size` bytes whose rows say more than such a file can. Where
    `groups` of rows are given they are all that is looked at, and of these the first `most` rows.

    Values are counted by what the file says of itself; texts that are written once and meant often are read
    as numbers of a dictionary, so that none of it is unfolded to find out.
    """
    from pyarrow import parquet

    with open_file() as stream, parquet.ParquetFile(stream) as table:
        counted = Counted(size, "unfolds")
        named, prefixed = count_parquet(table.metadata, counted, groups)
    for columns, rows, unread in ((named - prefixed, 16 * 1024, True), (prefixed, 64, False)):
        if not columns:
            continue
        names = sorted(columns)
        with (
            open_file() as stream,
            parquet.ParquetFile(stream, read_dictionary=names if unread else None) as table,
        ):
            read = 0
            for batch in _batches(table, rows, names, groups):
                counted.take(sum(_bytes_of(column) for column in batch.columns))
                read += len(batch)
                if most is not None and read >= most:
                    break


def _batches(table: Any, rows: int, names: list[str], groups: Iterable[int] | None) -> Iterator[Any]:
    """Each of one group: lists of texts whose dictionaries differ are not read together."""
    for group in range(table.metadata.num_row_groups) if groups is None else groups:
        yield from table.iter_batches(rows, row_groups=[group], columns=names, use_threads=False)


def count_parquet(
    metadata: Any, counted: Counted, groups: Iterable[int] | None = None
) -> tuple[set[str], set[str]]:
    """Takes what the `metadata` of a Parquet file tell of its rows. Returns the columns whose texts are
    written once and named by numbers, and those whose texts begin as the one before does.
    """
    named: set[str] = set()
    prefixed: set[str] = set()
    if groups is None:
        counted.take(_ITEM * metadata.num_rows)
    for number in range(metadata.num_row_groups) if groups is None else groups:
        group = metadata.row_group(number)
        if groups is not None:
            counted.take(_ITEM * group.num_rows)
        for index in range(metadata.num_columns):
            chunk = group.column(index)
            counted.take(chunk.num_values)
            if chunk.physical_type == "BYTE_ARRAY":
                if "DELTA_BYTE_ARRAY" in chunk.encodings:
                    prefixed.add(chunk.path_in_schema)
                elif not _NAMING.isdisjoint(chunk.encodings):
                    named.add(chunk.path_in_schema)
    return named, prefixed


def _bytes_of(array: Any) -> int:
    """Bytes of the values of an Arrow array, as often as they occur."""
    import pyarrow.compute as compute
    from pyarrow import types

    kind = array.type
    if types.is_dictionary(kind):
        lengths = compute.binary_length(array.dictionary)
        return compute.sum(compute.take(lengths, array.indices)).as_py() or 0
    if types.is_struct(kind):
        return sum(_bytes_of(part) for part in array.flatten())
    if types.is_list(kind) or types.is_large_list(kind) or types.is_map(kind):
        return _bytes_of(array.values if types.is_map(kind) else array.flatten())
    if (
        types.is_string(kind)
        or types.is_binary(kind)
        or types.is_large_string(kind)
        or types.is_large_binary(kind)
    ):
        return compute.sum(compute.binary_length(array)).as_py() or 0
    return array.nbytes
