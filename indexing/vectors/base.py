"""One contract for vector engines: direction of scores, ties, `k > n`, empty indexes, filters.

An engine only proposes candidates. What is returned is decided here: every candidate is scored again with
the stored codes, so two engines differ in which rows they find, never in how a row is scored. Engines that
promise exact answers also say how wrong their own scores can be; the search goes on, at last by a scan of
all allowed rows, until no row left out can belong to the answer.

Rows are positions 0..n-1 of a snapshot. The score of a row is `dot(query, decode(code))`, higher is
better; equal scores are ordered by ascending row.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from indexing.errors import BadInput
from indexing.quantization import Codec
from indexing.vectors.codes import CodeArray, CodeRows

_CHUNK_ROWS = 16_384  # 16 MiB of float32 at 256 dimensions: stays near the processor


class Hits(NamedTuple):
    """`rows` int64 [m] and `scores` float32 [m], best first, m = min(k, allowed rows)."""

    rows: np.ndarray
    scores: np.ndarray

    @classmethod
    def none(cls) -> Hits:
        return cls(np.empty(0, np.int64), np.empty(0, np.float32))


class Nearest(NamedTuple):
    """Distinct `rows` int64 [m] and their `distances` int32 [m] by the engine's own measure."""

    rows: np.ndarray
    distances: np.ndarray


class Candidates(NamedTuple):
    """What an engine proposes: distinct `rows`, and `beyond`, an upper limit for the score of any other
    allowed row (infinity when the engine cannot tell)."""

    rows: np.ndarray
    beyond: float = np.inf


class QueryScore:
    """Scores of codes against one query: `weights · code + bias`, the same as `dot(query, decode(code))`.

    Sums are made in float64, row by row in the same order, and rounded to float32 at the end: equal codes
    get equal scores wherever they lie.
    """

    def __init__(self, codec: Codec, query: np.ndarray) -> None:
        self.query = query
        self.weights = query.astype(np.float64) * codec.scale
        self.bias = float(query.astype(np.float64) @ codec.offset)
        largest = {"float32": 1.0, "uint8": 255.0}.get(codec.precision, 128.0)
        self.rounding = len(query) * 1.2e-7 * (float(np.abs(self.weights).sum()) * largest + abs(self.bias))

    def exact(self, codes: np.ndarray) -> np.ndarray:
        """float32 [n] for codes [n, d]."""
        return (np.einsum("ij,j->i", codes.astype(np.float64), self.weights) + self.bias).astype(np.float32)

    def fast(self, codes: np.ndarray) -> np.ndarray:
        """float32 [n], off by at most `rounding`."""
        return codes.astype(np.float32) @ self.weights.astype(np.float32) + np.float32(self.bias)


class VectorIndex(ABC):
    """An index over the codes of one snapshot. One thread may call `add`; searching is safe from several.

    The vectors behind the codes have length one (or zero). Engines derive from this class and provide
    `_append`, `_candidates`, `to_bytes` and `from_bytes`.
    """

    engine: ClassVar[str]
    exact: bool
    """Whether the answers equal those of a scan of all rows."""
    scan_rows: ClassVar[int] = 4_000
    """Up to so many allowed rows are scanned directly; that takes about half a millisecond."""

    says_distances = False
    """Whether `nearest` is there, by whose distances rows of several indexes can be compared."""

    def __init__(self, codec: Codec, codes: CodeArray) -> None:
        """`codes` [n, d] is kept for scoring, not copied. Use `build` or `load`."""
        check_codes(codec, codes)
        self.codec = codec
        self.codes = CodeRows(codes)

    @classmethod
    @abstractmethod
    def build(cls, codec: Codec, codes: CodeArray) -> VectorIndex:
        """Index the codes [n, d] of a snapshot."""

    @classmethod
    @abstractmethod
    def from_bytes(cls, data: bytes, codec: Codec, codes: CodeArray) -> VectorIndex:
        """Inverse of `to_bytes`. `data` goes to the engine's own parser: compare its checksum first.

        Raises `CorruptView` when what was parsed has another dimension, metric or number of rows.
        """

    @classmethod
    def check_limits(cls, precision: str, dimension: int) -> None:
        """Raises `BadInput` for vectors of more dimensions than the engine takes; the usual one takes any."""
        return

    @abstractmethod
    def to_bytes(self) -> bytes:
        """The engine's own file format; empty where the codes are all it needs."""

    @classmethod
    def file_of(cls, codec: Codec, codes: CodeArray) -> bytes:
        """What `to_bytes` of an index over these codes gives."""
        return cls.build(codec, codes).to_bytes()

    @abstractmethod
    def _append(self, codes: np.ndarray) -> None:
        """Index more rows."""

    @abstractmethod
    def _candidates(self, score: QueryScore, count: int, allowed: np.ndarray | None) -> Candidates:
        """About `count` promising rows; fewer, or rows that are not allowed, are both fine."""

    def reach(self, rows_allowed: int) -> int:
        """How many of so many allowed rows a search can find: mostly all."""
        return rows_allowed

    def nearest(self, query: np.ndarray, count: int, allowed: np.ndarray | None) -> Nearest:
        """The `count` allowed rows that are nearest to `query` by the engine's own measure, fewer only if
        there are no more.
        """
        raise NotImplementedError

    def nearest_count(self, k: int, rows: int) -> int:
        """How many of the nearest of `rows` rows, here and in other indexes, are scored for `k` hits."""
        raise NotImplementedError

    @abstractmethod
    def _first_count(self, k: int) -> int:
        """How many candidates to ask for first when `k` results are wanted."""

    def save(self, path: str | os.PathLike[str]) -> None:
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | os.PathLike[str], codec: Codec, codes: CodeArray) -> VectorIndex:
        """Read what `save` wrote. Compare the file's checksum first; `VectorSnapshot` does."""
        return cls.from_bytes(Path(path).read_bytes(), codec, codes)

    def __len__(self) -> int:
        return len(self.codes)

    def add(self, codes: np.ndarray) -> None:
        """Append rows; they get the positions from `len(self)` on."""
        check_codes(self.codec, codes)
        if len(codes):
            self._append(np.ascontiguousarray(codes))
            self.codes.append(codes)

    def search(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Hits:
        """The `k` best rows for a query vector float32 [d] of length one.

        `allowed` is a boolean mask [n] of rows that may be returned. There are always min(k, allowed rows)
        hits, as far as `reach` goes. Raises `BadInput` for a query of another dimension or with NaN, for
        k < 1, and for a mask of another length.
        """
        query = self._check_query(query, k)
        allowed, rows_allowed = self._check_allowed(allowed)
        wanted = min(k, rows_allowed)
        if not wanted:
            return Hits.none()
        score = QueryScore(self.codec, query)
        count = max(self._first_count(k), wanted)
        if rows_allowed > self.scan_rows:
            hits = self._search_engine(score, wanted, count, allowed, rows_allowed)
            if hits is not None:
                return hits
        return self._scan(score, wanted, allowed)

    def _find(self, score: QueryScore, k: int, count: int, allowed: np.ndarray | None) -> tuple[Hits, float]:
        """Up to `k` of the best rows, and an upper limit for the score of any other; about `count` rows are
        asked for. An approximate index knows no limit and says -inf.
        """
        allowed, rows_allowed = self._check_allowed(allowed)
        wanted = min(k, rows_allowed)
        if not self.exact:
            return self.search(score.query, k, allowed), -np.inf
        if not wanted:
            return Hits.none(), -np.inf
        if rows_allowed <= self.scan_rows or 2 * count >= rows_allowed:
            return self._scan(score, wanted, allowed), -np.inf
        rows, beyond = self._candidates(score, count, allowed)
        if allowed is not None:
            rows = rows[allowed[rows]]
        return best(rows, score.exact(self.codes.gather(rows)), wanted), beyond

    def _search_engine(
        self, score: QueryScore, wanted: int, count: int, allowed: np.ndarray | None, rows_allowed: int
    ) -> Hits | None:
        """Ask the engine for more candidates until the answer is safe; None when a scan is cheaper."""
        while 2 * count < rows_allowed:
            rows, beyond = self._candidates(score, count, allowed)
            if allowed is not None:
                rows = rows[allowed[rows]]
            if len(rows) >= wanted:
                hits = best(rows, score.exact(self.codes.gather(rows)), wanted)
                if not self.exact or hits.scores[-1] > beyond:
                    return hits
            count *= 4
        return None

    def _scan(self, score: QueryScore, wanted: int, allowed: np.ndarray | None) -> Hits:
        """Score all allowed rows: in float32 to find those that can be among the best, then exactly."""
        if allowed is None:
            spans = range(0, len(self), _CHUNK_ROWS)
            parts = [score.fast(self.codes.span(at, min(at + _CHUNK_ROWS, len(self)))) for at in spans]
            rows = np.arange(len(self), dtype=np.int64)
        else:
            rows = np.flatnonzero(allowed)
            spans = range(0, len(rows), _CHUNK_ROWS)
            parts = [score.fast(self.codes.gather(rows[at : at + _CHUNK_ROWS])) for at in spans]
        fast = np.concatenate(parts)
        threshold = np.partition(fast, len(fast) - wanted)[len(fast) - wanted] - 2 * score.rounding
        rows = rows[fast >= threshold]
        return best(rows, score.exact(self.codes.gather(rows)), wanted)

    def _check_query(self, query: np.ndarray, k: int) -> np.ndarray:
        query = np.asarray(query, dtype=np.float32)
        if query.shape != (self.codec.dimension,):
            raise BadInput(f"the query has the shape {list(query.shape)}, expected [{self.codec.dimension}]")
        if not np.isfinite(query).all():
            raise BadInput("the query vector has NaN or infinite values")
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least one result")
        return query

    def _check_allowed(self, allowed: np.ndarray | None) -> tuple[np.ndarray | None, int]:
        """The mask, or None when it allows everything, and the number of allowed rows."""
        if allowed is None:
            return None, len(self)
        allowed = np.asarray(allowed)
        if allowed.dtype != bool or allowed.shape != (len(self),):
            got = f"{allowed.dtype} {list(allowed.shape)}"
            raise BadInput(f"the mask of allowed rows is {got}, expected bool [{len(self)}]")
        count = int(np.count_nonzero(allowed))
        return (None if count == len(self) else allowed), count


def best(rows: np.ndarray, scores: np.ndarray, k: int) -> Hits:
    """The `k` highest scores in descending order, ties by ascending row."""
    if len(rows) > 4 * k:
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        keep = scores >= kth
        rows, scores = rows[keep], scores[keep]
    order = np.lexsort((rows, -scores))[:k]
    return Hits(rows[order].astype(np.int64, copy=False), scores[order])


def check_codes(codec: Codec, codes: CodeArray) -> None:
    if codes.ndim != 2 or codes.shape[1] != codec.dimension or codes.dtype != codec.dtype:
        raise BadInput(
            f"codes are {codes.dtype} {list(codes.shape)}, expected {codec.dtype} [n, {codec.dimension}]"
        )
