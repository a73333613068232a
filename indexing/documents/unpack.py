"""Compressed files as streams of what is in them, never more than a compressor could have made of a text.

A bomb is a small file that unpacks to a very large one. Text shrinks to a tenth, tables and logs to a
fiftieth; what unpacks to more than `RATIO` times its size, past `FREE` bytes, is refused at that point.
"""

from __future__ import annotations

import bz2
import gzip
import importlib
import io
import lzma
import sys
import zlib
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from indexing.documents.unreadable import Unreadable

__all__ = ["FREE", "PACKINGS", "RATIO", "Counted", "most_bytes", "packing_of", "unpack", "unpacked_name"]

PACKINGS = {".bz2": "bzip2", ".gz": "gzip", ".lzma": "xz", ".xz": "xz", ".zst": "zstd"}
"""How a file is compressed, by its last extension."""
_TARS = {".tbz2": "bzip2", ".tgz": "gzip", ".txz": "xz", ".tzst": "zstd"}

RATIO = 200
"""A file may unpack to so many times its size. A million equal log lines reach 150 in gzip."""
FREE = 64 * 2**20
"""Bytes that any file may unpack to, whatever its size: no harm is done with them."""

_CHUNK = 64 * 1024
# xz -9 makes dictionaries of 64 MiB, zstd --ultra of 128 MiB; the memory to unpack is the file's to choose.
_XZ_MEMORY = 192 * 2**20
_ZSTD_WINDOW_LOG = 27


def packing_of(name: str) -> str | None:
    """How a file of this name is compressed: gzip, bzip2, xz, zstd; None if it is not."""
    suffix = PurePath(name).suffix.lower()
    return PACKINGS.get(suffix) or _TARS.get(suffix)


def unpacked_name(name: str) -> str:
    """What the file inside is called: `a.csv` in `a.csv.gz`; the name itself where nothing is compressed."""
    suffix = PurePath(name).suffix
    if suffix.lower() in _TARS:
        return f"{name[: -len(suffix)]}.tar"
    return name[: -len(suffix)] if suffix.lower() in PACKINGS else name


def most_bytes(size: int) -> int:
    """How many bytes a file of `size` bytes may unpack to."""
    return max(FREE, RATIO * size)


def unpack(stream: BinaryIO, packing: str, size: int) -> io.BufferedReader:
    """What is in a compressed file, as a stream that can be peeked into; closing it closes `stream`.

    `packing` is one of the values of `PACKINGS`, `size` the bytes that `stream` has. Reading raises
    `Unreadable` where the data is damaged, cut off, or expands past `most_bytes(size)`.
    """
    return io.BufferedReader(_Unpacked(stream, packing, size), _CHUNK)


class Counted:
    """Bytes or characters that one file has expanded to so far; `take` refuses the one too many.

    `size` are the bytes of the file as it is stored. `what` says what expands: "unpacks", "unfolds".
    """

    def __init__(self, size: int, what: str = "unpacks") -> None:
        self._size = size
        self._what = what
        self.left = most_bytes(size)

    def take(self, amount: int) -> None:
        """Raises `Unreadable` once more than `most_bytes(size)` were taken."""
        self.left -= amount
        if self.left < 0:
            most = show_size(most_bytes(self._size))
            raise Unreadable(
                f"{self._what} to more than {most} from {show_size(self._size)}: "
                "such a file is made to fill memory, and was left out"
            )


def show_size(size: int) -> str:
    """`size` in bytes for people: `512 bytes`, `2 kB`, `64 MB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= unit:
            return f"{size / unit:.0f} {name}"
    return f"{size} bytes"


class _Unpacked(io.RawIOBase):
    """The decompressed bytes, counted; every way a decompressor fails becomes `Unreadable`."""

    def __init__(self, stream: BinaryIO, packing: str, size: int) -> None:
        self._stream = stream
        self._packing = packing
        self._counted = Counted(size)
        self._inner, self._errors = _open(stream, packing)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        return b"".join(iter(lambda: self._read(16 * _CHUNK), b""))

    def close(self) -> None:
        if not self.closed:
            self._inner.close()
            self._stream.close()
        super().close()

    def _read(self, length: int) -> bytes:
        try:
            data = self._inner.read(length)
        except EOFError:
            raise Unreadable(f"is cut off: the {self._packing} data has no end") from None
        except self._errors as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk's, not the data's
            raise Unreadable(f"is not valid {self._packing} data: {error}") from error
        self._counted.take(len(data))
        return data


def _open(stream: BinaryIO, packing: str) -> tuple[BinaryIO, tuple[type[Exception], ...]]:
    """The library's stream, and what it raises for damaged data."""
    if packing == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stream, mode="rb")), (OSError, zlib.error)
    if packing == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(stream)), (OSError,)
    if packing == "xz":
        return cast(BinaryIO, io.BufferedReader(_Xz(stream), _CHUNK)), (lzma.LZMAError,)
    if packing == "zstd":
        zstd = _zstd_module()
        options = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
        return zstd.ZstdFile(stream, options=options), (zstd.ZstdError,)
    raise ValueError(f"packing is one of {', '.join(sorted(set(PACKINGS.values())))}, got {packing!r}")


def _zstd_module() -> Any:
    """The standard library's, since Python 3.14, or the same code as a package."""
    try:
        return importlib.import_module(
            "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        )
    except ImportError:
        raise Unreadable("a .zst file needs backports.zstd: pip install backports.zstd") from None


class _Xz(io.RawIOBase):
    """xz and lzma streams, one after the other. The library's own file object has no bound on memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._data = b""
        self._decoder: lzma.LZMADecompressor | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while True:
            if self._decoder is None and not self._begin():
                return 0
            decoder = self._decoder
            assert decoder is not None
            if decoder.needs_input:
                self._data = self._data or self._stream.read(_CHUNK)
                if not self._data:
                    raise EOFError
            found = decoder.decompress(self._data, len(buffer))
            self._data = b""
            if decoder.eof:
                self._data, self._decoder = decoder.unused_data, None
            if found:
                buffer[: len(found)] = found
                return len(found)

    def _begin(self) -> bool:
        """Whether another stream begins. Between two streams NUL bytes may stand, four at a time."""
        self._data = self._data.lstrip(b"\x00")
        while not self._data:
            read = self._stream.read(_CHUNK)
            if not read:
                return False
            self._data = read.lstrip(b"\x00")
        self._decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
        return True
