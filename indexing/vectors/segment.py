"""A stretch of rows that never changes: their keys, their codes and, where the engine wants one, its index.

    rows-<name>.bin     block file: `keys` and `doc_keys` int64 [n], `codes` [n, width], int8 ones + 128, and
                        `bits` uint8 [n, width / 8] where signs are scanned
    engine-<name>.bin   the engine's own format; missing where the rows are all it needs

Bits are mapped as codes are: processes share them, and a new one has none to read at first.

A snapshot is a list of segments. The next one takes those that stay by hard links.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.storage.blockfile import write_block_file
from indexing.storage.files import link_or_copy
from indexing.storage.published import open_block_file, read_verified, verify_file
from indexing.storage.segments import Sorted, find_rows, sort_with_order
from indexing.vectors import VectorIndex, engine_class
from indexing.vectors.codes import CodeArray, SignedCodes, flip
from indexing.vectors.faiss import FaissIndex
from stlib.util.forks import cached_property

__all__ = ["EXACT_ENGINE", "Rows", "VectorSegment", "write_segment"]

# Scans every row; what small segments and the newest rows are searched with, whatever the engine.
EXACT_ENGINE = "faiss"

# Of binary precisions a search reads the codes of a few thousand rows that lie anywhere, and
# in a new process checks no more than these blocks, in some three microseconds each.
ROW_BLOCK_BYTES = 16 << 10


class Rows(NamedTuple):
    """Chunks: `keys` and `doc_keys` int64 [n], `codes` [n, width] as the codec made them."""

    keys: np.ndarray
    doc_keys: np.ndarray
    codes: np.ndarray

    @classmethod
    def joined(cls, parts: list[Rows], codec: Codec) -> Rows:
        """All of them, in this order."""
        none = np.empty((0, codec.dimension), codec.dtype)
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.keys for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.doc_keys for part in parts)]),
            np.concatenate([none, *(part.codes for part in parts)]),
        )


class VectorSegment:
    """Read side. Every access raises `CorruptView` when its part is damaged.

    Attributes:
        name: what its files are called.
        engine: of its index; `EXACT_ENGINE` for a small one.
        keys, doc_keys: chunk and document of each row, int64 [n], mapped; call `ensure_whole` before reading.
        codes: [n, width] in the codec's type, mapped and checked block by block.
        check_again: raises `CorruptView` if any row is not what was written, checked before or not.
    """

    def __init__(self, folder: Path, entry: dict[str, Any], codec: Codec, manifest: dict[str, Any]) -> None:
        self.name = str(int(entry["name"]))
        self.engine: str = entry["engine"]
        self._folder, self._codec, self._manifest = folder, codec, manifest
        file = open_block_file(folder, rows_file(self.name), manifest)
        self.keys, self.doc_keys = np.asarray(file["keys"]), np.asarray(file["doc_keys"])
        stored = file["codes"]
        has_bits = codec.is_binary and not self._has_engine_file  # earlier versions kept them in a file
        self._bits = file["bits"] if has_bits else None
        self.codes: CodeArray = SignedCodes(stored) if codec.dtype == np.int8 else stored
        self.ensure_whole, self.check_again = file.ensure_whole, file.check_again
        expected = np.dtype(np.uint8) if codec.dtype == np.int8 else codec.dtype
        if stored.shape != (entry["rows"], codec.dimension) or stored.dtype != expected:
            raise CorruptView(f"{file.path} holds other codes than its manifest says; rebuild the view")
        if not len(self.keys) == len(self.doc_keys) == len(self.codes):
            raise CorruptView(f"{file.path} has columns of different lengths; rebuild the view")
        if self._bits is not None and self._bits.shape != (len(self), -(-codec.dimension // 8)):
            raise CorruptView(f"{file.path} holds other bits than its codes have; rebuild the view")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def entry(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"name": int(self.name), "engine": self.engine, "rows": len(self)}

    def moved_to(self, folder: Path, entry: dict[str, Any], manifest: dict[str, Any]) -> VectorSegment | None:
        """The same segment in a later snapshot, with everything that was loaded and checked; None if that has
        another one under this name.
        """
        names = (rows_file(self.name), engine_file(self.name))
        if entry != self.entry or any(
            manifest["files"].get(name) != self._manifest["files"].get(name) for name in names
        ):
            return None
        moved = copy(self)
        moved._folder, moved._manifest = folder, manifest
        return moved

    def link_into(self, folder: Path) -> None:
        """Gives an unpublished folder the same files, compared with the manifest: which vouches for them.

        Each block of the rows keeps the checksum that was written with it.
        """
        names = [rows_file(self.name)]
        if self._has_engine_file:
            names.append(verify_file(self._folder, engine_file(self.name), self._manifest).name)
        link_or_copy([self._folder / name for name in names], folder)

    @property
    def _has_engine_file(self) -> bool:
        return engine_file(self.name) in self._manifest["files"]

    @cached_property
    def index(self) -> VectorIndex:
        """The engine's index over `codes`, loaded on first use."""
        return self.load_index()

    def load_index(self) -> VectorIndex:
        """A new one, which the caller may add to."""
        if self._bits is not None:
            return FaissIndex(self._codec, self.codes, self._bits)
        name = engine_file(self.name)
        data = read_verified(self._folder, name, self._manifest) if self._has_engine_file else b""
        return engine_class(self.engine).from_bytes(data, self._codec, self.codes)

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray:
        """The rows of those of `keys` (int64) that are here."""
        return find_rows(self._by_key, keys)

    @cached_property
    def _by_key(self) -> Sorted:
        return sort_with_order(self.keys)

    @cached_property
    def by_document(self) -> Sorted:
        """Rows ordered by document (None: as they are), and the document keys in that order."""
        return sort_with_order(self.doc_keys)

    def take(self, rows: np.ndarray | None = None) -> Rows:
        """These rows, or all, copied; their blocks are checked again."""
        self.check_again()
        if rows is None:
            rows = np.arange(len(self))
        return Rows(self.keys[rows], self.doc_keys[rows], self.codes[rows])


def write_segment(
    folder: Path, name: int, codec: Codec, rows: Rows, engine: str, data: bytes
) -> dict[str, Any]:
    """Writes the files of a segment into an unpublished folder, `data` being the engine's; returns what the
    manifest says of it.
    """
    codes = flip(rows.codes) if codec.dtype == np.int8 else rows.codes
    arrays = {"keys": rows.keys, "doc_keys": rows.doc_keys, "codes": codes}
    if data and engine == EXACT_ENGINE:
        arrays["bits"] = np.frombuffer(data, np.uint8).reshape(len(codes), -1)
        data = b""
    block_bytes = ROW_BLOCK_BYTES if codec.is_binary else None
    write_block_file(folder / rows_file(str(name)), arrays, block_bytes)
    if data:
        (folder / engine_file(str(name))).write_bytes(data)
    return {"name": name, "engine": engine, "rows": len(rows.keys)}


def rows_file(name: str) -> str:
    return f"rows-{name}.bin"


def engine_file(name: str) -> str:
    return f"engine-{name}.bin"
