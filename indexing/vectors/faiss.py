"""FAISS: flat scans of every row, exact for float32, int8 and uint8.

Flat scans need no training and no file of their own: FAISS reads the stored codes where they lie, mapped from
the snapshot's file, a million rows of 256 one-byte values in some nine milliseconds. It computes byte codes
against a query cut to bytes, so the query is scaled and rounded here, the error that this makes is bounded,
and the candidates are scored again.

Binary precisions scan sign bits by Hamming distance, and score `BINARY_OVERSAMPLING` times more candidates
with the stored int8 codes; the bits are the only thing that is kept beside the codes. The more rows there
are, the more of them are nearer by their signs than one of the best: so one candidate for each
`ROWS_A_CANDIDATE` rows is scored besides, which takes a tenth of the time of scanning those. FAISS reads
bitmaps of allowed rows itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np

from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.vectors.base import Candidates, Nearest, QueryScore, VectorIndex
from indexing.vectors.codes import CodeArray, CodeRows, SignedCodes, flip

_api: Any = faiss  # its stubs describe C++, not the calls that take arrays and addresses

BINARY_OVERSAMPLING = 20
ROWS_A_CANDIDATE = 5_000
_BINARY_LEAST = 400
_STEP_ROWS = 65_536
_EXACT = 0  # of the ways in which FAISS picks the smallest distances


class FaissIndex(VectorIndex):
    """See the module. `scanned` are the codes in the form that FAISS reads, without a copy where they are
    stored in it.
    """

    engine = "faiss"

    def __init__(self, codec: Codec, codes: CodeArray, scanned: CodeArray) -> None:
        super().__init__(codec, codes)
        self._scanned = CodeRows(scanned)
        self.exact = not codec.is_binary
        self.says_distances = codec.is_binary

    @classmethod
    def build(cls, codec: Codec, codes: CodeArray) -> FaissIndex:
        return cls(codec, codes, _scan_form(codec, codes))

    @classmethod
    def from_bytes(cls, data: bytes, codec: Codec, codes: CodeArray) -> FaissIndex:
        if not codec.is_binary:
            if data:
                raise CorruptView(f"{len(data)} bytes of an index that needs none; rebuild the view")
            return cls.build(codec, codes)
        width = -(-codec.dimension // 8)
        if len(data) != len(codes) * width:
            raise CorruptView(
                f"{len(data)} bytes hold the signs of {len(data) / width:g} rows of {width} bytes, "
                f"expected {len(codes)} rows; rebuild the view"
            )
        return cls(codec, codes, np.frombuffer(data, np.uint8).reshape(-1, width))

    def to_bytes(self) -> bytes:
        return b"".join(bits.tobytes() for _, bits in self._scanned.parts()) if self.codec.is_binary else b""

    @classmethod
    def file_of(cls, codec: Codec, codes: CodeArray) -> bytes:
        return cls.build(codec, codes).to_bytes() if codec.is_binary else b""

    def _append(self, codes: np.ndarray) -> None:
        self._scanned.append(np.asarray(_scan_form(self.codec, codes)))

    def _first_count(self, k: int) -> int:
        if self.codec.is_binary:
            return self.nearest_count(k, len(self))
        return k + 32 if self.codec.precision == "float32" else max(4 * k, 256)

    def _candidates(self, score: QueryScore, count: int, allowed: np.ndarray | None) -> Candidates:
        if self.codec.is_binary:
            return Candidates(self.nearest(score.query, count, allowed).rows)
        step, target, error = self._target(score)
        products, found = self._search_flat(target, count, allowed)
        rows = found[found >= 0]
        if len(rows) < count:
            return Candidates(rows, -np.inf)
        return Candidates(rows, float(products[-1]) * step + score.bias + self._shift(score) + error)

    def nearest(self, query: np.ndarray, count: int, allowed: np.ndarray | None) -> Nearest:
        """By the number of signs that differ; for binary precisions only."""
        distances, rows = self._search_flat(self.codec.query_bits(query), count, allowed)
        found = rows >= 0
        return Nearest(rows[found], distances[found])

    def nearest_count(self, k: int, rows: int) -> int:
        return max(BINARY_OVERSAMPLING * k, _BINARY_LEAST) + rows // ROWS_A_CANDIDATE

    def _search_flat(
        self, target: np.ndarray, count: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Products (or distances) and rows of the best `count`, -1 for rows that were not found."""
        scan = self._scan_bits if self.codec.is_binary else self._scan_values
        values, rows = [], []
        with _one_thread():
            for first, codes in self._scanned.parts():
                bitmap = None if allowed is None else _bitmap(allowed[first : first + len(codes)])
                found, at = scan(np.ascontiguousarray(codes), target, count, bitmap)
                values.append(found)
                rows.append(np.where(at < 0, -1, at + first))
        if len(values) == 1:
            return values[0], rows[0]
        both, all_rows = np.concatenate(values), np.concatenate(rows)
        order = np.argsort(both if self.codec.is_binary else -both, kind="stable")[:count]
        return both[order], all_rows[order]

    def _scan_values(
        self, codes: np.ndarray, target: np.ndarray, count: int, bitmap: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inner products float32 [count], best first, and rows int64 [count]."""
        products, rows = np.full(count, -np.inf, np.float32), np.full(count, -1, np.int64)
        if codes.dtype != np.uint8:
            selector = None if bitmap is None else _api.IDSelectorBitmap(bitmap)
            ends = faiss.swig_ptr(target), faiss.swig_ptr(codes)
            faiss.knn_inner_product(
                *ends,
                codes.shape[1],
                1,
                len(codes),
                count,
                faiss.swig_ptr(products),
                faiss.swig_ptr(rows),
                selector,
            )
            return products, rows
        with _borrowed_scanner(codes.shape[1]) as scanner:
            scanner.scan(codes, target, bitmap, products, rows)
        order = np.argsort(-products, kind="stable")
        return products[order], rows[order]

    def _scan_bits(
        self, codes: np.ndarray, target: np.ndarray, count: int, bitmap: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Hamming distances int32 [count], nearest first, and rows int64 [count]."""
        selector = None if bitmap is None else _api.IDSelectorBitmap(bitmap)
        distances, rows = np.empty(count, np.int32), np.empty(count, np.int64)
        heap = faiss.int_maxheap_array_t()
        heap.nh, heap.k = 1, count
        heap.val, heap.ids = faiss.swig_ptr(distances), faiss.swig_ptr(rows)
        ends = faiss.swig_ptr(target), faiss.swig_ptr(codes)
        _api.hammings_knn_hc(heap, *ends, len(codes), codes.shape[1], 1, _EXACT, selector)
        return distances, rows

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


class _ByteScanner:
    """FAISS's loop over one-byte codes at any address. One thread at a time.

    FAISS gives its scanners to Python without a way to free them, hence they are kept and used again, with
    and without a selector, whose bitmap is exchanged.
    """

    def __init__(self, dimension: int) -> None:
        signed = faiss.ScalarQuantizer.QT_8bit_direct_signed
        self._quantizer = _api.ScalarQuantizer(dimension, signed)
        self._selector = _api.IDSelectorBitmap(np.zeros(1, np.uint8))
        select, product = self._quantizer.select_InvertedListScanner, faiss.METRIC_INNER_PRODUCT
        self._all = select(product, None, True, None)
        self._selected = select(product, None, True, self._selector)

    def scan(
        self,
        codes: np.ndarray,
        target: np.ndarray,
        bitmap: np.ndarray | None,
        products: np.ndarray,
        rows: np.ndarray,
    ) -> None:
        """Puts the best into the heap of `products` and `rows`."""
        scanner = self._all if bitmap is None else self._selected
        if bitmap is not None:
            self._selector.n, self._selector.bitmap = len(bitmap), faiss.swig_ptr(bitmap)
        scanner.set_query(faiss.swig_ptr(target))
        scanner.set_list(0, 0.0)
        out = faiss.swig_ptr(products), faiss.swig_ptr(rows)
        scanner.scan_codes(len(codes), faiss.swig_ptr(codes), None, *out, len(products))


_idle_scanners: defaultdict[int, list[_ByteScanner]] = defaultdict(list)


@contextmanager
def _borrowed_scanner(dimension: int) -> Iterator[_ByteScanner]:
    """A scanner that no other thread has: there are as many as ever searched at once."""
    idle = _idle_scanners[dimension]
    try:
        scanner = idle.pop()
    except IndexError:
        scanner = _ByteScanner(dimension)
    try:
        yield scanner
    finally:
        idle.append(scanner)


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


def _scan_form(codec: Codec, codes: CodeArray) -> CodeArray:
    """The codes as FAISS reads them: sign bits, bytes of value + 128, or floats."""
    if codec.is_binary:
        width = -(-codec.dimension // 8)
        steps = range(0, len(codes), _STEP_ROWS)
        parts = [codec.sign_bits(codes[first : first + _STEP_ROWS]) for first in steps]
        return np.concatenate(parts) if parts else np.empty((0, width), np.uint8)
    if codec.precision != "int8":
        return codes
    return codes.raw if isinstance(codes, SignedCodes) else flip(np.asarray(codes))


def _bitmap(allowed: np.ndarray) -> np.ndarray:
    return np.packbits(allowed, bitorder="little")
