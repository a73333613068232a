"""Flat arrays in one file, memory-mapped and checked block by block on first use.

Layout, little-endian:

    8 bytes   magic
    4 bytes   length of the header text
    4 bytes   CRC32 of header text and block table
    n bytes   header text (JSON): arrays with name, dtype, shape and offset; block size; file size
    4·b bytes block table: CRC32 of each block of the data, of 4 MiB if the writer wants no smaller ones
    …         zeros up to the next multiple of 4096, then the data, each array at a multiple of 64

Opening reads the header only, which `published` compares with a manifest before: of a forged one any page of
memory could be made an array. A block is compared with its CRC32 when it is first touched, so a damaged
file raises `CorruptView` instead of giving a wrong answer, and opening a large one stays instant.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import os
import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from indexing.errors import CorruptView
from indexing.storage.files import disk_errors, open_plain

MAGIC = b"STLBLK1\0"
BLOCK_BYTES = 4 << 20
_PREFIX = struct.Struct("<8sII")
_PAGE = 4096
_ALIGN = 64


def write_block_file(
    path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], block_bytes: int | None = None
) -> None:
    """Write named arrays of fixed-size numbers and flush them to the disk. `path` must not exist.

    A reader reads and checks whole blocks of `block_bytes`, a multiple of 4096, `BLOCK_BYTES` if None: where
    single rows are read here and there, small ones are worth it.

    Give it a temporary name or a folder that is still unpublished: this function alone is not atomic.
    """
    path = Path(path)
    little = {name: np.ascontiguousarray(a, dtype=a.dtype.newbyteorder("<")) for name, a in arrays.items()}
    described, data_bytes = _describe(little)
    size = BLOCK_BYTES if block_bytes is None else block_bytes
    header = _header(described, data_bytes, size, b"\0" * 4 * -(-data_bytes // size))
    with disk_errors(path, len(header) + data_bytes), path.open("xb") as handle:
        handle.write(header)
        table = _write_data(handle, little, described, data_bytes, size)
        handle.seek(0)
        handle.write(_header(described, data_bytes, size, table))
        handle.flush()
        os.fsync(handle.fileno())


def _describe(arrays: Mapping[str, np.ndarray]) -> tuple[list[dict[str, Any]], int]:
    described, offset = [], 0
    for name, array in arrays.items():
        described.append({"name": name, "dtype": array.dtype.str, "shape": array.shape, "offset": offset})
        offset += -(-array.nbytes // _ALIGN) * _ALIGN
    return described, offset


def _header(described: list[dict[str, Any]], data_bytes: int, block_bytes: int, table: bytes) -> bytes:
    body = {"arrays": described, "block_bytes": block_bytes, "data_bytes": data_bytes}
    text = json.dumps(body, separators=(",", ":")).encode("ascii")
    start = -(-(_PREFIX.size + len(text) + len(table)) // _PAGE) * _PAGE
    prefix = _PREFIX.pack(MAGIC, len(text), zlib.crc32(text + table))
    return (prefix + text + table).ljust(start, b"\0")


def _write_data(
    handle: Any,
    arrays: Mapping[str, np.ndarray],
    described: list[dict[str, Any]],
    total: int,
    block_bytes: int,
) -> bytes:
    """Write the arrays with their padding; returns the CRC32 of each block as little-endian uint32."""
    sums = _BlockSums(block_bytes)
    ends = [entry["offset"] for entry in described[1:]] + [total]
    for entry, end in zip(described, ends, strict=True):
        array = arrays[entry["name"]]
        padding = bytes(end - entry["offset"] - array.nbytes)
        for piece in (array.reshape(-1).view(np.uint8).data, memoryview(padding)):
            handle.write(piece)
            sums.update(piece)
    return sums.table()


def head_size(path: str | os.PathLike[str]) -> int | None:
    """Bytes before the data of a block file that was just written; None for any other file."""
    with open_plain(path) as file:
        prefix = file.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size or not prefix.startswith(MAGIC):
            return None
        text = file.read(_PREFIX.unpack(prefix)[1])
    try:
        header = json.loads(text)
        blocks = -(-header["data_bytes"] // header["block_bytes"])
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None  # another file, which only begins alike
    return -(-(_PREFIX.size + len(text) + 4 * blocks) // _PAGE) * _PAGE


class _BlockSums:
    """CRC32 of consecutive blocks of a stream that arrives in pieces of any size."""

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._sums: list[int] = []
        self._filled = 0

    def update(self, piece: memoryview) -> None:
        start = 0
        while start < len(piece):
            if self._filled % self._block_bytes == 0:
                self._sums.append(0)
            taken = piece[start : start + self._block_bytes - self._filled % self._block_bytes]
            self._sums[-1] = zlib.crc32(taken, self._sums[-1])
            self._filled += len(taken)
            start += len(taken)

    def table(self) -> bytes:
        return np.array(self._sums, dtype="<u4").tobytes()


def _check_entry(entry: dict[str, Any], data_bytes: int) -> dict[str, Any]:
    """An array's description, if it is one of numbers that lies within the data. Raises ValueError."""
    dtype, shape, offset = np.dtype(entry["dtype"]), entry["shape"], entry["offset"]
    whole = all(type(number) is int and number >= 0 for number in (*shape, offset))
    if dtype.kind not in "biuf" or not whole or offset + dtype.itemsize * math.prod(shape) > data_bytes:
        raise ValueError(f"array {entry['name']!r} is none of numbers within the file")
    return entry


class BlockFile:
    """Read side of `write_block_file`.

    `file[name]` is a `BlockArray`. Raises `CorruptView` when the file is missing, is not of this format,
    has another size than its header says, or a block does not match its CRC32. The size is compared
    before anything is mapped and again before every access, because reading a mapped page behind the end of
    a shortened file would kill the process. What stays are the microseconds between that look and the read,
    and arrays that a caller keeps.
    """

    def __init__(self, path: str | os.PathLike[str], head: bytes | None = None) -> None:
        """`head` are the bytes before the data, if somebody has read and compared them already."""
        self.path = Path(path)
        try:
            with open_plain(self.path) as handle:
                size = os.fstat(handle.fileno()).st_size
                self._read_header(handle if head is None else io.BytesIO(head), size)
                self._mapping = mmap.mmap(handle.fileno(), self._size, access=mmap.ACCESS_READ)
        except (OSError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError) as error:
            raise CorruptView(f"{self.path} is missing or unreadable ({error}); rebuild the view") from error
        self._unchecked = np.ones(len(self._sums), dtype=bool)
        self._remaining = len(self._sums)
        self._map = np.frombuffer(self._mapping, dtype=np.uint8)[self._start :]

    def _read_header(self, handle: BinaryIO, size: int) -> None:
        prefix = handle.read(_PREFIX.size)
        if len(prefix) < _PREFIX.size:
            raise ValueError("shorter than its header")
        magic, length, crc32 = _PREFIX.unpack(prefix)
        if magic != MAGIC or length > size:
            raise ValueError("not a block file")
        text = handle.read(length)
        header = json.loads(text)
        self._block_bytes, self._data_bytes = int(header["block_bytes"]), int(header["data_bytes"])
        if self._data_bytes > size:
            raise ValueError(f"{size} bytes, at least {self._data_bytes} were written")
        table = handle.read(4 * -(-self._data_bytes // self._block_bytes))
        if zlib.crc32(text + table) != crc32:
            raise ValueError("its header does not match its checksum")
        self._start = -(-(_PREFIX.size + length + len(table)) // _PAGE) * _PAGE
        self._size = self._start + self._data_bytes
        if size != self._size:
            raise ValueError(f"{size} bytes, {self._size} were written")
        self._sums = np.frombuffer(table, dtype="<u4")
        self._arrays = {entry["name"]: _check_entry(entry, self._data_bytes) for entry in header["arrays"]}

    def ensure_whole(self) -> None:
        """Raises CorruptView if the open file was shortened. Half a microsecond."""
        if self._mapping.size() < self._size:
            raise CorruptView(f"{self.path} was truncated while in use; rebuild the view")

    def __getitem__(self, name: str) -> BlockArray:
        entry = self._arrays.get(name)
        if entry is None:
            raise CorruptView(f"{self.path} has no array {name!r}; rebuild the view")
        return BlockArray(self, entry["offset"], np.dtype(entry["dtype"]), tuple(entry["shape"]))

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def check_all(self) -> None:
        """Compare every block that was not compared yet."""
        self.check_blocks(np.arange(len(self._sums)))

    def check_again(self) -> None:
        """Compare every block, those too that were compared before: the file may have been altered since."""
        self._unchecked[:] = True
        self._remaining = len(self._sums)
        self.check_all()

    def check_bytes(self, start: int, stop: int) -> None:
        """Compare the blocks that hold bytes `start` to `stop` of the data."""
        self.ensure_whole()
        if self._remaining and stop > start:
            self.check_blocks(np.arange(start // self._block_bytes, (stop - 1) // self._block_bytes + 1))

    def check_rows(self, offset: int, row_bytes: int, rows: np.ndarray) -> None:
        """Compare the blocks that hold these rows of an array that starts at byte `offset` of the data."""
        self.ensure_whole()
        if self._remaining and len(rows) and row_bytes:
            first = (offset + rows * row_bytes) // self._block_bytes
            last = (offset + (rows + 1) * row_bytes - 1) // self._block_bytes
            self.check_blocks(np.unique(np.concatenate([first, last])))

    def check_blocks(self, blocks: np.ndarray) -> None:
        """Compare these blocks, once each. Two threads may do the same one twice, which is harmless."""
        unchecked = blocks[self._unchecked[blocks]]
        if not len(unchecked):
            return
        self._fetch(unchecked)
        for block in unchecked.tolist():
            self.ensure_whole()
            start = block * self._block_bytes
            if zlib.crc32(self._map[start : start + self._block_bytes].data) != self._sums[block]:
                raise CorruptView(f"{self.path}: block {block} does not match its checksum; rebuild the view")
            self._unchecked[block] = False
        self._remaining = int(self._unchecked.sum())

    def _fetch(self, blocks: np.ndarray) -> None:
        """Has the system read these blocks at once where they are not in memory; by themselves they would be
        waited for one after the other.
        """
        if len(blocks) < 2 or not hasattr(mmap, "MADV_WILLNEED"):
            return
        ends = np.flatnonzero(np.diff(blocks, append=blocks[-1] + 2) != 1)
        firsts = np.concatenate([[0], ends[:-1] + 1])
        for first, last in zip(blocks[firsts].tolist(), blocks[ends].tolist(), strict=True):
            start = self._start + first * self._block_bytes
            start -= start % mmap.PAGESIZE  # pages of a file need not be those of the system
            stop = min(self._start + (last + 1) * self._block_bytes, self._size)
            with suppress(OSError):  # it is advice alone
                self._mapping.madvise(mmap.MADV_WILLNEED, start, stop - start)

    def view(self, offset: int, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """The mapped bytes as an array, unchecked: `BlockArray` checks what it hands out."""
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return np.asarray(self._map)[offset : offset + count].view(dtype).reshape(shape)


class BlockArray:
    """One array of a `BlockFile`, indexed by rows like a NumPy array; every row handed out was checked.

    `array[i:j]` is a read-only view of mapped memory, `array[rows]` with an integer or boolean array is a
    copy, `np.asarray(array)` is the whole as a read-only view. Row numbers count from 0, slices go forward.
    """

    def __init__(self, file: BlockFile, offset: int, dtype: np.dtype, shape: tuple[int, ...]) -> None:
        self._file = file
        self._offset = offset
        self._rows = file.view(offset, dtype, shape)
        self._row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        self.dtype = dtype
        self.shape = shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice | int | np.ndarray) -> np.ndarray:
        if isinstance(key, np.ndarray):
            rows = np.flatnonzero(key) if key.dtype == bool else key
            self._file.check_rows(self._offset, self._row_bytes, rows)
            return self._rows[rows]
        if isinstance(key, slice):
            start, stop, _ = slice(key.start, key.stop).indices(len(self))
        else:
            start = range(len(self))[key]
            stop = start + 1
        self._file.check_bytes(self._offset + start * self._row_bytes, self._offset + stop * self._row_bytes)
        return self._rows[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        rows = self[:]
        return np.array(rows, dtype=dtype, copy=True) if copy else np.asarray(rows, dtype=dtype)
