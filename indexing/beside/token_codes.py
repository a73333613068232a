"""Vectors of a passage's tokens as bytes, and how well a question's vectors meet them.

    centroid  uint8, the nearest of at most 256
    length    float16, by which what the rest stands for is multiplied
    levels    2, 4 or 8 bits for each value of what the centroid leaves, the first in the lowest bits

token after token, and then a checksum of four bytes, as no view of them has one. What is left of a centroid
is divided by the spread of each dimension, so that one row of levels fits them all; see "ColBERTv2"
(Santhanam et al., 2022) for centroids with few bits beside. The length takes back what rounding added or took
away: by it a token counts as much as before, and two bits keep more of the order. Everything that decides a
code is in the settings, which are made once, see `token_calibration`.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexing.errors import StorageError
from stlib.util.forks import cached_property

__all__ = ["BITS", "MOST_CENTROIDS", "TokenCodec"]

BITS = (2, 4, 8)
MOST_CENTROIDS = 256
# Bytes of a token before its levels: centroid and length.
_HEAD = 3
_CHECKSUM = 4
_LARGEST = float(np.finfo(np.float16).max)
# Tokens that are encoded or scored at a time: what they take stays in the processor's cache.
_PORTION = 4096


@dataclass(frozen=True, eq=False)
class TokenCodec:
    """Codes of the token vectors of one model.

    Attributes:
        bits: of a value, one of `BITS`.
        centroids: float32 [1 to 256, d], as float16 holds them.
        spread: float32 [d], above 0, as float16 holds it.
        levels: float32 [2 ** bits], ascending.
    """

    bits: int
    centroids: np.ndarray
    spread: np.ndarray
    levels: np.ndarray

    @property
    def dimension(self) -> int:
        return self.centroids.shape[1]

    @property
    def token_bytes(self) -> int:
        """Of one token."""
        return _HEAD + -(-self.dimension * self.bits // 8)

    def to_settings(self) -> dict[str, Any]:
        """As a generation records it."""
        return {
            "bits": self.bits,
            "levels": [float(level) for level in self.levels],
            "spread": _write(self.spread),
            "centroids": _write(self.centroids),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], dimension: int) -> TokenCodec:
        """
        Raises:
            StorageError: this is nothing that `to_settings` gave for vectors of so many values.
        """
        try:
            bits = settings["bits"]
            codec = cls(
                bits,
                _read(settings["centroids"]).reshape(-1, dimension),
                _read(settings["spread"]),
                np.asarray(settings["levels"], np.float32),
            )
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise _altered(f"settings of the codes of tokens: {error}") from error
        sound = (
            type(bits) is int
            and bits in BITS
            and 1 <= len(codec.centroids) <= MOST_CENTROIDS
            and codec.spread.shape == (dimension,)
            and bool((codec.spread > 0).all())
            and codec.levels.shape == (1 << bits,)
            and bool((np.diff(codec.levels) >= 0).all())
            and all(np.isfinite(part).all() for part in (codec.centroids, codec.spread, codec.levels))
        )
        if not sound:
            raise _altered(f"settings of the codes of tokens with {bits!r} bits for {dimension} dimensions")
        return codec

    def encode(self, passages: Sequence[np.ndarray]) -> list[bytes]:
        """A code for the vectors of each passage, float [tokens, d]; one may have no tokens.

        Raises:
            ValueError: vectors of another shape, or that are no finite numbers.
        """
        for vectors in passages:
            if np.ndim(vectors) != 2 or np.shape(vectors)[1] != self.dimension:
                raise ValueError(
                    f"vectors of shape {list(np.shape(vectors))}, not [tokens, {self.dimension}]"
                )
        if not len(passages):
            return []
        rows = np.concatenate([np.asarray(vectors, np.float32) for vectors in passages])
        if not np.isfinite(rows).all():
            raise ValueError("vectors of tokens have NaN or infinite values")
        parts = [self._encode(rows[first : first + _PORTION]) for first in range(0, len(rows), _PORTION)]
        coded = np.concatenate(parts) if parts else np.empty((0, self.token_bytes), np.uint8)
        ends = np.cumsum([len(vectors) for vectors in passages])
        return [_seal(part.tobytes()) for part in np.split(coded, ends[:-1])]

    def decode(self, codes: Sequence[bytes]) -> list[np.ndarray]:
        """What codes stand for: float32 [tokens, d] of each passage.

        Raises:
            StorageError: these are no such codes, so the catalog was altered.
        """
        rows, counts = self._rows(codes)
        near, lengths = self._heads(rows)
        vectors = (self._left(rows) * self.spread + self.centroids[near]) * lengths[:, None]
        return np.split(vectors, np.cumsum(counts)[:-1]) if len(codes) else []

    def scores(self, query: np.ndarray, codes: Sequence[bytes]) -> np.ndarray:
        """How well each passage answers, float32 [n]: for each of the question's vectors, float32 [q, d], the
        largest dot product with a token's, added up. NaN for a passage without tokens.

        Raises:
            StorageError: these are no such codes, so the catalog was altered.
        """
        rows, counts = self._rows(codes)
        scaled = np.ascontiguousarray((query * self.spread).T, np.float32)
        of_centroids = np.asarray(self.centroids @ query.T, np.float32)
        scores = np.full(len(codes), np.nan, np.float32)
        ends = np.cumsum(counts)
        for passages in _portions(counts):
            first = int(ends[passages[0]] - counts[passages[0]])
            part = rows[first : int(ends[passages[-1]])]
            near, lengths = self._heads(part)
            dots = self._left(part) @ scaled
            dots += of_centroids[near]
            dots *= lengths[:, None]
            starts = ends[passages] - counts[passages] - first
            scores[passages] = np.maximum.reduceat(dots, starts, axis=0).sum(axis=1)
        return scores

    def is_whole(self, code: bytes) -> bool:
        """Whether a code is what was stored, by its length and its checksum."""
        body = memoryview(code)[:-_CHECKSUM]
        right = len(code) >= _CHECKSUM and len(body) % self.token_bytes == 0
        return right and _checksum(body) == code[-_CHECKSUM:]

    def _encode(self, vectors: np.ndarray) -> np.ndarray:
        """uint8 [n, token_bytes]."""
        near = self._nearest(vectors)
        left = (vectors - self.centroids[near]) / self.spread
        levels = np.searchsorted(self._borders, left).astype(np.uint8)
        stood_for = self.levels[levels] * self.spread + self.centroids[near]
        wanted, got = np.linalg.norm(vectors, axis=1), np.linalg.norm(stood_for, axis=1)
        lengths = np.divide(wanted, got, out=np.zeros_like(wanted), where=got > 0)
        rows = np.empty((len(vectors), self.token_bytes), np.uint8)
        rows[:, 0] = near
        rows[:, 1:_HEAD] = np.minimum(lengths, _LARGEST).astype("<f2")[:, None].view(np.uint8)
        rows[:, _HEAD:] = self._pack(levels)
        return rows

    def _nearest(self, vectors: np.ndarray) -> np.ndarray:
        return np.argmax(vectors @ self.centroids.T - self._half_squares, axis=1)

    def _pack(self, levels: np.ndarray) -> np.ndarray:
        """Levels uint8 [n, d] with several in a byte."""
        each = 8 // self.bits
        width = self.token_bytes - _HEAD
        whole = np.zeros((len(levels), width * each), np.uint8)
        whole[:, : levels.shape[1]] = levels
        shifts = (np.arange(each) * self.bits).astype(np.uint8)
        shifted = whole.reshape(len(levels), width, each) << shifts
        return np.bitwise_or.reduce(shifted, axis=2)

    def _rows(self, codes: Sequence[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """All tokens, uint8 [n, token_bytes], and how many each passage has, int64."""
        if altered := sum(not self.is_whole(code) for code in codes):
            raise _altered(f"{altered} of {len(codes)} codes of tokens are not what was stored")
        bodies = [memoryview(code)[:-_CHECKSUM] for code in codes]
        counts = np.fromiter(map(len, bodies), np.int64, len(bodies)) // self.token_bytes
        return np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, self.token_bytes), counts

    def _heads(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centroids and lengths of tokens."""
        near = rows[:, 0]
        lengths = np.ascontiguousarray(rows[:, 1:_HEAD]).view("<f2")[:, 0].astype(np.float32)
        if len(rows) and int(near.max()) >= len(self.centroids):
            raise _altered(f"a token is near centroid {int(near.max())} of {len(self.centroids)}")
        if not (np.isfinite(lengths) & (lengths >= 0)).all():
            raise _altered("a token has a length that is none")
        return near, lengths

    def _left(self, rows: np.ndarray) -> np.ndarray:
        """What the levels of tokens stand for, float32 [n, d], in spreads."""
        # A byte's values are looked up together, as one number of their size: nothing is computed with it.
        values = np.take(self._values_of_bytes, rows[:, _HEAD:])
        return values.view(np.float32)[:, : self.dimension]

    @cached_property
    def _values_of_bytes(self) -> np.ndarray:
        """The values that each byte stands for, [256]."""
        each = 8 // self.bits
        bits = np.arange(256)[:, None] >> (np.arange(each) * self.bits) & ((1 << self.bits) - 1)
        return np.ascontiguousarray(self.levels[bits]).view({1: "f4", 2: "c8", 4: "c16"}[each])[:, 0]

    @cached_property
    def _borders(self) -> np.ndarray:
        """Half-way between neighbouring levels."""
        return (self.levels[1:] + self.levels[:-1]) / 2

    @cached_property
    def _half_squares(self) -> np.ndarray:
        return np.square(self.centroids).sum(axis=1) / 2


def _portions(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Numbers of passages that have tokens, as many at a time as have about `_PORTION` together."""
    passages = np.flatnonzero(counts)
    if len(passages):
        portions = (np.cumsum(counts[passages]) - 1) // _PORTION
        yield from np.split(passages, np.flatnonzero(np.diff(portions)) + 1)


def _seal(body: bytes) -> bytes:
    return body + _checksum(body)


def _checksum(body: bytes | memoryview) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM, "little")


def _write(numbers: np.ndarray) -> str:
    return base64.b64encode(numbers.astype("<f2").tobytes()).decode("ascii")


def _read(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text, validate=True), "<f2").astype(np.float32)


def _altered(what: str) -> StorageError:
    return StorageError(f"the catalog is damaged: {what}; run `stlib verify`, or restore it from a backup")
