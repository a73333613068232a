"""A stretch of passages that never changes, as lists by term.

rows-<name>.bin     block file: `keys` and `doc_keys` int64 [n], and the arrays of `Postings`
"""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from indexing.beside.sparse_codes import SparseCodes
from indexing.errors import CorruptView
from indexing.inverted.postings import Postings, join, make_postings
from indexing.storage.blockfile import write_block_file
from indexing.storage.files import link_or_copy
from indexing.storage.published import open_block_file
from indexing.storage.segments import Sorted, find_rows, sort_with_order
from stlib.util.forks import cached_property

__all__ = ["InvertedSegment", "SparseRowsOf", "merge_rows", "write_segment"]

_TYPES = {
    "terms": np.int32,
    "starts": np.int64,
    "rows": np.uint32,
    "weights": np.uint8,
    "tops": np.float32,
    "steps": np.float32,
    "norms": np.float32,
}


class SparseRowsOf(NamedTuple):
    """Passages: `keys` and `doc_keys` int64 [n], and their terms."""

    keys: np.ndarray
    doc_keys: np.ndarray
    postings: Postings

    @classmethod
    def of(cls, keys: np.ndarray, doc_keys: np.ndarray, codes: SparseCodes) -> SparseRowsOf:
        return cls(keys, doc_keys, make_postings(codes))

    @classmethod
    def none(cls) -> SparseRowsOf:
        empty = np.empty(0, np.int64)
        return cls.of(empty, empty, SparseCodes.none())


def merge_rows(parts: list[tuple[SparseRowsOf, np.ndarray]]) -> SparseRowsOf:
    """Those of several, one behind the other, without the rows that are gone in each (int64, ascending)."""
    if len(parts) == 1 and not len(parts[0][1]):
        return parts[0][0]
    return SparseRowsOf(
        np.concatenate([np.delete(rows.keys, gone) for rows, gone in parts]),
        np.concatenate([np.delete(rows.doc_keys, gone) for rows, gone in parts]),
        join([(rows.postings, gone) for rows, gone in parts]),
    )


class InvertedSegment:
    """Read side. Every access raises `CorruptView` when its part is damaged.

    Attributes:
        name: what its file is called. keys, doc_keys: passage and document of each row, int64 [n], mapped;
        call `ensure_whole` before reading.
        postings: mapped as well.
        check_again: raises `CorruptView` if any row is not what was written, checked before or not.
    """

    def __init__(self, folder: Path, entry: dict[str, Any], manifest: dict[str, Any]) -> None:
        self.name = str(int(entry["name"]))
        self._folder, self._manifest = folder, manifest
        file = open_block_file(folder, rows_file(self.name), manifest)
        self.keys, self.doc_keys = np.asarray(file["keys"]), np.asarray(file["doc_keys"])
        arrays = {name: np.asarray(file[name]) for name in _TYPES}
        self.postings = Postings(**arrays)
        self.ensure_whole, self.check_again = file.ensure_whole, file.check_again
        n, t = len(self.keys), len(self.postings.terms)
        lengths = {
            "terms": t,
            "starts": t + 1,
            "tops": t,
            "steps": n,
            "norms": n,
            "rows": len(self.postings.weights),
        }
        right = all(arrays[name].dtype == kind for name, kind in _TYPES.items())
        if not right or any(arrays[name].shape != (length,) for name, length in lengths.items()):
            raise CorruptView(f"{file.path} holds other arrays than its kind has; rebuild the view")
        if not n == len(self.doc_keys) == entry["rows"]:
            raise CorruptView(f"{file.path} has columns of different lengths; rebuild the view")

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def entry(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"name": int(self.name), "rows": len(self)}

    def moved_to(
        self, folder: Path, entry: dict[str, Any], manifest: dict[str, Any]
    ) -> InvertedSegment | None:
        """The same segment in a later snapshot, with everything that was checked; None if that has another
        one under this name.
        """
        name = rows_file(self.name)
        if entry != self.entry or manifest["files"].get(name) != self._manifest["files"].get(name):
            return None
        moved = copy(self)
        moved._folder, moved._manifest = folder, manifest
        return moved

    def link_into(self, folder: Path) -> None:
        """Gives an unpublished folder the same file; each block keeps the checksum written with it."""
        link_or_copy([self._folder / rows_file(self.name)], folder)

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

    def take(self) -> SparseRowsOf:
        """All rows; their blocks are checked again."""
        self.check_again()
        return SparseRowsOf(self.keys, self.doc_keys, self.postings)


def write_segment(folder: Path, name: int, rows: SparseRowsOf) -> dict[str, Any]:
    """Writes the file of a segment into an unpublished folder; returns what the manifest says of it."""
    arrays = {"keys": rows.keys, "doc_keys": rows.doc_keys, **rows.postings._asdict()}
    write_block_file(folder / rows_file(str(name)), arrays)
    return {"name": name, "rows": len(rows.keys)}


def rows_file(name: str) -> str:
    return f"rows-{name}.bin"
