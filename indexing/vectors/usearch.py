"""usearch: a graph (HNSW, Malkov and Yashunin 2018) whose search time hardly grows with the collection.

Answers are approximate. The graph lies over vectors in which all dimensions share one scale, so that their
products order neighbours as cosines do: decoded codes rounded to bytes for int8 and uint8, bfloat16 for
float32 (half the memory, built 2.6 times as fast, and rescoring makes up for it), sign bits for the binary
precisions. Up to `scan_rows` rows a direct scan is about as fast and exact, and the graph is not asked.
usearch knows no filters: small allowed sets are scanned, for large ones more candidates are asked for.

Rows are added by one thread in their order, which makes the graph the same at every build.
"""

from __future__ import annotations

import numpy as np
from usearch.index import Index, MetricKind, ScalarKind

from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.vectors.base import Candidates, QueryScore, VectorIndex
from indexing.vectors.codes import CodeArray

OVERSAMPLING = 4
BINARY_OVERSAMPLING = 20
_LEAST = 100
_BINARY_LEAST = 400
_FILTER_SURPLUS = 1.25
_ADD_ROWS = 65_536


class UsearchIndex(VectorIndex):
    """See the module. Holds the graph and a copy of its vectors."""

    engine = "usearch"
    exact = False
    scan_rows = 16_000

    def __init__(self, codec: Codec, codes: CodeArray, index: Index) -> None:
        super().__init__(codec, codes)
        self._index = index

    @classmethod
    def build(cls, codec: Codec, codes: CodeArray) -> UsearchIndex:
        built = cls(codec, codes, _empty(codec))
        for start in range(0, len(codes), _ADD_ROWS):
            built._append(codes[start : start + _ADD_ROWS])
        return built

    @classmethod
    def from_bytes(cls, data: bytes, codec: Codec, codes: CodeArray) -> UsearchIndex:
        index = _empty(codec)
        wanted = _signature(index)
        try:
            index.load(data)
        except (RuntimeError, ValueError) as error:
            raise CorruptView(f"usearch cannot read its file ({error}); rebuild the view") from error
        if _signature(index) != wanted or len(index) != len(codes):
            raise CorruptView(
                f"the usearch file holds {len(index)} rows of {_signature(index)}, "
                f"expected {len(codes)} rows of {wanted}; rebuild the view"
            )
        return cls(codec, codes, index)

    def to_bytes(self) -> bytes:
        return self._index.save() or b""

    def _append(self, codes: np.ndarray) -> None:
        keys = np.arange(len(self._index), len(self._index) + len(codes), dtype=np.uint64)
        self._index.add(keys, _graph_vectors(self.codec, codes), threads=1)

    def _first_count(self, k: int) -> int:
        if self.codec.is_binary:
            return max(BINARY_OVERSAMPLING * k, _BINARY_LEAST)
        return max(OVERSAMPLING * k, _LEAST)

    def _candidates(self, score: QueryScore, count: int, allowed: np.ndarray | None) -> Candidates:
        if allowed is not None:
            count = int(count * _FILTER_SURPLUS * len(allowed) / np.count_nonzero(allowed))
        found = self._index.search(_graph_query(self.codec, score.query), min(count, len(self)))
        return Candidates(np.asarray(found.keys).astype(np.int64))


def _empty(codec: Codec) -> Index:
    if codec.is_binary:
        return Index(ndim=-(-codec.dimension // 8) * 8, metric=MetricKind.Hamming, dtype=ScalarKind.B1)
    kind = ScalarKind.BF16 if codec.precision == "float32" else ScalarKind.I8
    return Index(ndim=codec.dimension, metric=MetricKind.IP, dtype=kind)


def _signature(index: Index) -> tuple[str, str, int]:
    return str(index.metric_kind), str(index.dtype), int(index.ndim)


def _graph_vectors(codec: Codec, codes: np.ndarray) -> np.ndarray:
    if codec.is_binary:
        return codec.sign_bits(codes)
    vectors = codec.decode(codes)
    return vectors if codec.precision == "float32" else _shared_scale(codec, vectors)


def _graph_query(codec: Codec, query: np.ndarray) -> np.ndarray:
    if codec.is_binary:
        return codec.query_bits(query)
    if codec.precision == "float32":
        return query
    largest = float(np.abs(query).max()) or 1.0
    return np.rint(query * (127 / largest)).astype(np.int8)


def _shared_scale(codec: Codec, vectors: np.ndarray) -> np.ndarray:
    """int8 with one scale for all dimensions, fixed by the ranges and so the same for every row."""
    assert codec.ranges is not None
    largest = float(np.abs(codec.ranges).max())
    return np.rint(vectors * (127 / largest)).astype(np.int8)
