"""Codes of many rows, wherever they lie: mapped from a file, in memory, or both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from indexing.storage.blockfile import BlockArray

__all__ = ["CodeArray", "CodeRows", "SignedCodes", "flip"]

_SIGN = np.uint8(0x80)


class CodeArray(Protocol):
    """What of an array [n, width] is used: rows by number or slice, the whole by `np.asarray`."""

    @property
    def dtype(self) -> np.dtype: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: slice | np.ndarray, /) -> np.ndarray: ...


class SignedCodes:
    """int8 codes that are kept as FAISS scans them, value + 128 as uint8: nobody needs a second copy.

    Rows come out as int8, copied.
    """

    dtype = np.dtype(np.int8)
    ndim = 2

    def __init__(self, raw: np.ndarray | BlockArray) -> None:
        self.raw = raw
        self.shape = raw.shape

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        return flip(self.raw[key])

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)


def flip(codes: np.ndarray) -> np.ndarray:
    """int8 codes as uint8 of value + 128, and back: in both directions the highest bit is turned."""
    other = np.uint8 if codes.dtype == np.int8 else np.int8
    return (np.ascontiguousarray(codes).view(np.uint8) ^ _SIGN).view(other)


class CodeRows:
    """The codes of all rows: those of the snapshot, usually memory-mapped, and rows appended since."""

    def __init__(self, base: CodeArray) -> None:
        self._base = base
        self._tail = np.empty((0, base.shape[1]), base.dtype)  # grows by doubling
        self._appended = 0

    def __len__(self) -> int:
        return len(self._base) + self._appended

    def append(self, codes: np.ndarray) -> None:
        needed = self._appended + len(codes)
        if needed > len(self._tail):
            grown = np.empty((max(needed, 2 * len(self._tail)), codes.shape[1]), self._tail.dtype)
            grown[: self._appended] = self._tail[: self._appended]
            self._tail = grown
        self._tail[self._appended : needed] = codes
        self._appended = needed

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Codes of these rows, copied."""
        split = len(self._base)
        if not self._appended:
            return self._base[rows]
        codes = np.empty((len(rows), self._tail.shape[1]), self._tail.dtype)
        old = rows < split
        codes[old], codes[~old] = self._base[rows[old]], self._tail[rows[~old] - split]
        return codes

    def span(self, start: int, stop: int) -> np.ndarray:
        """Codes of rows `start` to `stop`; no copy unless the span crosses into the appended rows."""
        split = len(self._base)
        if stop <= split:
            return self._base[start:stop]
        tail = self._tail[max(start - split, 0) : stop - split]
        return tail if start >= split else np.concatenate([self._base[start:split], tail])

    def parts(self) -> Iterator[tuple[int, np.ndarray]]:
        """(first row, codes) of each stretch that lies in one piece."""
        if len(self._base):
            yield 0, self._base[:]
        if self._appended:
            yield len(self._base), self._tail[: self._appended]
