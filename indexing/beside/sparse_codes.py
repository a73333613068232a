"""Weighted terms of a passage as bytes: 183 of them for 60 terms.

    step      float32; a weight is its byte times this
    terms     uint16 each, uint32 where the vocabulary has more than 65,536; ascending
    weights   uint8 each, 1 or more

The step is the largest weight by 255, passage by passage: no range has to be known beforehand, none is ever
left, and the order in which passages come decides nothing. A term that would be 0 is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from indexing.errors import StorageError
from stlib.runtime import SparseRows

__all__ = ["SparseCodes", "decode_sparse", "encode_sparse"]

LEVELS = 255
_SHORT = 1 << 16


class SparseCodes(NamedTuple):
    """Quantised terms of n passages, row after row, as `SparseRows` has them.

    Attributes:
        starts: int64 [n + 1]; terms: int32 [all]; weights: uint8 [all].
        steps: float32 [n].
    """

    starts: np.ndarray
    terms: np.ndarray
    weights: np.ndarray
    steps: np.ndarray

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def none(cls) -> SparseCodes:
        return cls(
            np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.uint8), np.empty(0, np.float32)
        )

    @classmethod
    def joined(cls, parts: Sequence[SparseCodes]) -> SparseCodes:
        """All of them, in this order."""
        counts = [np.diff(part.starts) for part in parts]
        return cls(
            np.concatenate([[0], np.cumsum(np.concatenate([np.empty(0, np.int64), *counts]))]).astype(
                np.int64
            ),
            np.concatenate([np.empty(0, np.int32), *(part.terms for part in parts)]),
            np.concatenate([np.empty(0, np.uint8), *(part.weights for part in parts)]),
            np.concatenate([np.empty(0, np.float32), *(part.steps for part in parts)]),
        )

    @property
    def rows(self) -> np.ndarray:
        """The passage of each term, int64 [all]."""
        return np.repeat(np.arange(len(self)), np.diff(self.starts))

    def take(self, kept: np.ndarray) -> SparseCodes:
        """Those passages for which the boolean table `kept` [n] is true."""
        counts = np.diff(self.starts)
        inside = np.repeat(kept, counts)
        starts = np.concatenate([[0], np.cumsum(counts[kept])]).astype(np.int64)
        return SparseCodes(starts, self.terms[inside], self.weights[inside], self.steps[kept])


def encode_sparse(rows: SparseRows, dimension: int) -> list[bytes]:
    """A code for each text; `dimension` is the size of the vocabulary.

    Raises:
        ValueError: terms outside the vocabulary or not ascending, weights that are no positive numbers.
    """
    _check(rows, dimension)
    kind = _term_type(dimension)
    codes = []
    for number in range(len(rows)):
        terms, weights = rows.row(number)
        step = np.float32(weights.max() / LEVELS) if len(weights) else np.float32(0)
        levels = np.rint(weights / step) if step > 0 else np.empty(0)
        kept = levels > 0
        codes.append(
            np.float32(step).astype("<f4").tobytes()
            + terms[: len(kept)][kept].astype(kind).tobytes()
            + np.minimum(levels[kept], LEVELS).astype(np.uint8).tobytes()
        )
    return codes


def decode_sparse(codes: Sequence[bytes], dimension: int) -> SparseCodes:
    """What `encode_sparse` stored.

    Raises:
        StorageError: these are no such codes, so the catalog was altered.
    """
    kind = _term_type(dimension)
    lengths = np.fromiter(map(len, codes), np.int64, len(codes))
    counts, left = np.divmod(lengths - 4, kind.itemsize + 1)
    if (lengths < 4).any() or left.any():
        raise _altered()
    data = np.frombuffer(b"".join(codes), np.uint8)
    begins = np.cumsum(lengths) - lengths
    steps = data[begins[:, None] + np.arange(4)].copy().view("<f4")[:, 0].astype(np.float32)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    inside = np.arange(starts[-1]) - np.repeat(starts[:-1], counts)
    first = np.repeat(begins + 4, counts)
    at = first + inside * kind.itemsize
    terms = data[at[:, None] + np.arange(kind.itemsize)].copy().view(kind)[:, 0].astype(np.int32)
    weights = data[first + np.repeat(counts * kind.itemsize, counts) + inside]
    decoded = SparseCodes(starts, terms, weights, steps)
    _check_decoded(decoded, dimension)
    return decoded


def _term_type(dimension: int) -> np.dtype:
    return np.dtype("<u2" if dimension <= _SHORT else "<u4")


def _check(rows: SparseRows, dimension: int) -> None:
    weights = rows.weights
    if len(weights) != len(rows.terms) or (len(rows.starts) and rows.starts[-1] != len(weights)):
        raise ValueError(
            f"{len(rows.terms)} terms with {len(weights)} weights, {rows.starts[-1:]} by their starts"
        )
    if not np.isfinite(weights).all() or (weights <= 0).any():
        raise ValueError("weights of terms must be finite numbers above 0")
    if not _ascends(rows.starts, rows.terms, dimension):
        raise ValueError(f"terms must ascend within a text, from 0 to {dimension - 1}")


def _check_decoded(codes: SparseCodes, dimension: int) -> None:
    sound = np.isfinite(codes.steps).all() and (codes.steps >= 0).all()
    if not sound or not _ascends(codes.starts, codes.terms, dimension):
        raise _altered()


def _ascends(starts: np.ndarray, terms: np.ndarray, dimension: int) -> bool:
    """Whether the terms of each row ascend, and are in the vocabulary."""
    if not len(terms):
        return True
    rises = np.diff(terms) > 0
    begins = starts[1:-1]
    begins = begins[(begins > 0) & (begins < len(terms))]
    rises[begins - 1] = True
    return bool(rises.all()) and int(terms.min()) >= 0 and int(terms.max()) < dimension


def _altered() -> StorageError:
    return StorageError(
        "the catalog is damaged: codes of weighted terms are none; run `stlib verify`, or restore it from a"
        " backup"
    )
