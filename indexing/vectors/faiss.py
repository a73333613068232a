"""FAISS: flat scans of every row, exact for float32, int8 and uint8.

Flat scans need no training, take appended rows, and at 100,000 rows of 256 dimensions answer in about a
millisecond from one-byte codes. FAISS computes byte codes against a query cut to bytes, so the query is
scaled and rounded here, the error that this makes is bounded, and the candidates are scored again.

Binary precisions scan sign bits by Hamming distance and score `BINARY_OVERSAMPLING` times more candidates
with the stored int8 codes. FAISS reads bitmaps of allowed rows itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np

from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.storage.blockfile import BlockArray
from indexing.vectors.base import Candidates, QueryScore, VectorIndex

BINARY_OVERSAMPLING = 20
_BINARY_LEAST = 400
_ADD_ROWS = 65_536


class FaissIndex(VectorIndex):
    """See the module. Holds a copy of the scanned codes: one byte, four bytes or one bit per value."""

    engine = "faiss"

    def __init__(self, codec: Codec, codes: np.ndarray | BlockArray, index: Any) -> None:
        super().__init__(codec, codes)
        self._index = index
        self.exact = not codec.is_binary

    @classmethod
    def build(cls, codec: Codec, codes: np.ndarray | BlockArray) -> FaissIndex:
        built = cls(codec, codes, _empty(codec))
        for start in range(0, len(codes), _ADD_ROWS):
            built._append(codes[start : start + _ADD_ROWS])
        return built

    @classmethod
    def from_bytes(cls, data: bytes, codec: Codec, codes: np.ndarray | BlockArray) -> FaissIndex:
        read: Any = faiss.deserialize_index_binary if codec.is_binary else faiss.deserialize_index
        try:
            index = read(np.frombuffer(data, dtype=np.uint8))
        except RuntimeError as error:
            raise CorruptView(f"FAISS cannot read its file ({error}); rebuild the view") from error
        if _signature(index) != _signature(_empty(codec)) or index.ntotal != len(codes):
            raise CorruptView(
                f"the FAISS file holds {index.ntotal} rows of {_signature(index)}, "
                f"expected {len(codes)} rows of {_signature(_empty(codec))}; rebuild the view"
            )
        return cls(codec, codes, index)

    def to_bytes(self) -> bytes:
        write: Any = faiss.serialize_index_binary if self.codec.is_binary else faiss.serialize_index
        return write(self._index).tobytes()

    def _append(self, codes: np.ndarray) -> None:
        if self.codec.precision == "float32":
            self._index.add(np.ascontiguousarray(codes, dtype=np.float32))
        elif self.codec.is_binary:
            self._index.add(self.codec.sign_bits(codes))
        else:
            # The stored form of QT_8bit_direct_signed is value + 128: that of uint8 codes as they are,
            # and of int8 codes with the highest bit turned.
            raw = codes if codes.dtype == np.uint8 else codes.view(np.uint8) ^ np.uint8(0x80)
            self._index.add_sa_codes(np.ascontiguousarray(raw))

    def _first_count(self, k: int) -> int:
        if self.codec.is_binary:
            return max(BINARY_OVERSAMPLING * k, _BINARY_LEAST)
        return k + 32 if self.codec.precision == "float32" else max(4 * k, 256)

    def _candidates(self, score: QueryScore, count: int, allowed: np.ndarray | None) -> Candidates:
        if self.codec.is_binary:
            rows = self._search_flat(self.codec.query_bits(score.query), count, allowed)[1]
            return Candidates(rows[rows >= 0])
        step, target, error = self._target(score)
        products, found = self._search_flat(target, count, allowed)
        rows = found[found >= 0]
        if len(rows) < count:
            return Candidates(rows, -np.inf)
        return Candidates(rows, float(products[-1]) * step + score.bias + self._shift(score) + error)

    def _search_flat(
        self, target: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products (or distances) and rows of one query, -1 for rows that were not found."""
        options = None if allowed is None else _selector(allowed)
        with _one_thread():
            products, rows = self._index.search(target[None], count, params=options)
        return products[0], rows[0]

    def _target(self, score: QueryScore) -> tuple[float, np.ndarray, float]:
        """`(step, target, error)`: a row's score without bias is `step * dot(target, code)` ± error."""
        if self.codec.precision == "float32":
            return 1.0, score.query, score.rounding
        step = float(np.abs(score.weights).max()) / 127 or 1.0
        target = np.rint(score.weights / step)
        error = float(np.abs(score.weights - step * target).sum()) * 128
        return step, target.astype(np.float32), error + score.rounding

    def _shift(self, score: QueryScore) -> float:
        """What the scan leaves out because FAISS sees uint8 codes 128 lower."""
        return 128 * float(score.weights.sum()) if self.codec.precision == "uint8" else 0.0


@contextmanager
def _one_thread() -> Iterator[None]:
    """A scan takes about a millisecond; waiting for a second thread on a busy machine takes many.

    OpenMP keeps this number per calling thread, so it disturbs nobody.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _empty(codec: Codec) -> Any:
    if codec.precision == "float32":
        return faiss.IndexFlatIP(codec.dimension)
    if codec.is_binary:
        return faiss.IndexBinaryFlat(-(-codec.dimension // 8) * 8)
    signed = faiss.ScalarQuantizer.QT_8bit_direct_signed
    return faiss.IndexScalarQuantizer(codec.dimension, signed, faiss.METRIC_INNER_PRODUCT)


def _signature(index: Any) -> tuple[str, int, int, int]:
    quantizer = index.sq.qtype if isinstance(index, faiss.IndexScalarQuantizer) else -1
    return type(index).__name__, index.d, index.metric_type, quantizer


def _selector(allowed: np.ndarray) -> Any:
    bitmap = np.packbits(allowed, bitorder="little")
    api: Any = faiss  # its stubs describe the C++ constructors, not those that take arrays and keywords
    return api.SearchParameters(sel=api.IDSelectorBitmap(bitmap))
