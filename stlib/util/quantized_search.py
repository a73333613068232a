"""Search over quantised embeddings with FAISS or usearch: scan the small codes, then rescore with the float
query.

Both functions share one plan: build an index unless one is given, quantise the queries like the corpus, scan
``top_k * rescore_multiplier`` candidates, rescore them by the dot product of the float query with the
dequantised code, keep ``top_k``. Rescoring happens when the queries are float and the corpus is quantised.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from stlib.errors import InvalidInput, InvalidOption, MissingDependency
from stlib.util.quantized_codes import (
    as_array,
    calibration_ranges,
    dequantize_scalar,
    quantize_embeddings,
)

logger = logging.getLogger(__name__)

Hits = list[list[dict[str, Any]]]


@dataclass(frozen=True)
class _Plan:
    precision: Any
    top_k: int
    ranges: np.ndarray | None
    calibration: np.ndarray | None
    rescore: bool
    multiplier: int
    exact: bool
    output_index: bool


class _Engine(Protocol):
    """What the shared plan needs from an engine; ``-1`` marks an unused slot in a row of positions."""

    name: str
    precisions: tuple[str, ...]

    def build(self, codes: np.ndarray, precision: str, exact: bool) -> Any: ...

    def is_float(self, index: Any, precision: str) -> bool: ...

    def scan(
        self, index: Any, queries: np.ndarray, precision: str, k: int, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def codes(self, index: Any, positions: np.ndarray, precision: str) -> np.ndarray: ...


def semantic_search_faiss(
    query_embeddings: np.ndarray,
    corpus_embeddings: np.ndarray | None = None,
    corpus_index: Any = None,
    corpus_precision: Literal["float32", "uint8", "ubinary"] = "float32",
    top_k: int = 10,
    ranges: np.ndarray | None = None,
    calibration_embeddings: np.ndarray | None = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
) -> tuple[Hits, float] | tuple[Hits, float, Any]:
    """Nearest corpus rows of each query with FAISS (inner product; Hamming distance for ubinary).

    Args:
        query_embeddings: ``[q, d]`` floats, or codes of ``corpus_precision`` (then nothing is rescored).
        corpus_embeddings: ``[n, …]`` codes of ``corpus_precision``. Give either this or ``corpus_index``.
        corpus_index: a FAISS index built earlier (see ``output_index``).
        corpus_precision: precision of the corpus.
        top_k: results per query; fewer when the corpus is smaller.
        ranges: ``[2, d]`` ranges that the corpus was quantised with (uint8).
        calibration_embeddings: the vectors that gave those ranges, if the ranges were not kept.
        rescore: rescore the candidates with the float query.
        rescore_multiplier: candidates per result, when rescoring.
        exact: scan everything; otherwise an HNSW graph is built (ignored for a given index).
        output_index: also return the index.

    Returns:
        ``(hits, seconds)`` or ``(hits, seconds, index)``; ``hits[i]`` is a list of ``{"corpus_id",
        "score"}``, best first. Scores are inner products after a scan of floats or after rescoring, else what
        the engine returns (Hamming distances for binary codes, where smaller is better).

    Raises:
        InvalidInput: both or neither of ``corpus_embeddings`` and ``corpus_index`` are given.
        InvalidOption: FAISS has no such precision.
        MissingDependency: FAISS is not installed.
    """
    plan = _Plan(
        corpus_precision,
        top_k,
        ranges,
        calibration_embeddings,
        rescore,
        rescore_multiplier,
        exact,
        output_index,
    )
    return _search(_Faiss(), query_embeddings, corpus_embeddings, corpus_index, plan)


def semantic_search_usearch(
    query_embeddings: np.ndarray,
    corpus_embeddings: np.ndarray | None = None,
    corpus_index: Any = None,
    corpus_precision: Literal["float32", "int8", "ubinary", "binary"] = "float32",
    top_k: int = 10,
    ranges: np.ndarray | None = None,
    calibration_embeddings: np.ndarray | None = None,
    rescore: bool = True,
    rescore_multiplier: int = 2,
    exact: bool = True,
    output_index: bool = False,
) -> tuple[Hits, float] | tuple[Hits, float, Any]:
    """Nearest corpus rows of each query with usearch (cosine for float32, inner product for int8, Hamming for
    bits).

    Arguments, return value and errors are those of :func:`semantic_search_faiss`, with the precisions that
    usearch has. ``exact`` applies to each search, as a usearch index always is a graph. Scores that are not
    rescored are usearch distances, where smaller is better.
    """
    plan = _Plan(
        corpus_precision,
        top_k,
        ranges,
        calibration_embeddings,
        rescore,
        rescore_multiplier,
        exact,
        output_index,
    )
    return _search(_Usearch(), query_embeddings, corpus_embeddings, corpus_index, plan)


def _search(engine: _Engine, queries: Any, corpus: Any, index: Any, plan: _Plan) -> Any:
    _check(engine, corpus, index, plan.precision)
    if index is None:
        index = engine.build(np.ascontiguousarray(as_array(corpus)), plan.precision, plan.exact)
    queries = np.atleast_2d(as_array(queries))
    floats = queries.dtype not in (np.uint8, np.int8)
    rescoring = plan.rescore and floats and not engine.is_float(index, plan.precision)
    if plan.rescore and not rescoring:
        what = "corpus is float32" if floats else "queries are quantised"
        logger.warning("the %s, so nothing is rescored; pass rescore=False to say so", what)
    ranges = plan.ranges
    if floats and plan.precision in ("int8", "uint8") and ranges is None:
        ranges = calibration_ranges(queries, plan.precision, plan.calibration)
    codes = quantize_embeddings(queries, plan.precision, ranges=ranges) if floats else queries

    started = time.perf_counter()
    k = plan.top_k * plan.multiplier if rescoring else plan.top_k
    scores, positions = engine.scan(index, codes, plan.precision, k, plan.exact)
    if rescoring:
        scores = _rescore(engine, index, queries, positions, plan.precision, ranges)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : plan.top_k]
        scores = np.take_along_axis(scores, order, axis=1)
        positions = np.take_along_axis(positions, order, axis=1)
    seconds = time.perf_counter() - started
    hits = [
        [{"corpus_id": int(p), "score": float(s)} for p, s in zip(*row, strict=True) if p >= 0]
        for row in zip(positions, scores, strict=True)
    ]
    return (hits, seconds, index) if plan.output_index else (hits, seconds)


def _check(engine: _Engine, corpus: Any, index: Any, precision: str) -> None:
    if corpus is not None and index is not None:
        raise InvalidInput("got both corpus_embeddings and corpus_index; pass one of them")
    if corpus is None and index is None:
        raise InvalidInput("there is no corpus; pass corpus_embeddings or corpus_index")
    if precision not in engine.precisions:
        allowed = ", ".join(engine.precisions)
        raise InvalidOption(f"{engine.name} has no precision {precision!r}; use one of: {allowed}")


def _rescore(
    engine: _Engine, index: Any, queries: np.ndarray, positions: np.ndarray, precision: Any, ranges: Any
) -> np.ndarray:
    """Dot products of each float query with its dequantised candidates, ``-inf`` in unused slots."""
    scores = np.full(positions.shape, -np.inf)
    for row, query in enumerate(queries):
        used = positions[row] >= 0
        if not used.any():
            continue
        codes = engine.codes(index, positions[row, used], precision)
        if precision in ("int8", "uint8"):
            values = dequantize_scalar(codes, precision, as_array(ranges))
        else:
            values = np.unpackbits(codes, axis=-1)[:, : queries.shape[1]]
        scores[row, used] = values @ query
    return scores


class _Faiss:
    name = "faiss"
    precisions: tuple[str, ...] = ("float32", "uint8", "ubinary")
    _HNSW_NEIGHBOURS = 16  # links per node; recall and size grow with it

    def build(self, codes: np.ndarray, precision: str, exact: bool) -> Any:
        faiss = _import("faiss", "faiss-cpu")
        width = codes.shape[1]
        if precision == "ubinary":
            make = faiss.IndexBinaryFlat if exact else faiss.IndexBinaryHNSW
            index = make(width * 8) if exact else make(width * 8, self._HNSW_NEIGHBOURS)
        elif exact:
            index = faiss.IndexFlatIP(width)
        else:
            index = faiss.IndexHNSWFlat(width, self._HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        # FAISS scans uint8 codes as floats: exact up to 2**24, far above any sum of products of two bytes'
        # worth.
        index.add(codes if precision == "ubinary" else codes.astype(np.float32))
        return index

    def is_float(self, index: Any, precision: str) -> bool:
        return precision == "float32"

    def scan(
        self, index: Any, queries: np.ndarray, precision: str, k: int, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        queries = np.ascontiguousarray(queries if precision == "ubinary" else queries.astype(np.float32))
        return index.search(queries, k)

    def codes(self, index: Any, positions: np.ndarray, precision: str) -> np.ndarray:
        # IVF indexes and the like reconstruct one by one, plain ones too; candidates are few.
        rows = np.stack([index.reconstruct(int(p)) for p in positions])
        return rows if precision == "ubinary" else np.rint(rows)


# precision -> (metric, scalar kind); a float corpus is compared by cosine, codes by what is exact on them
_USEARCH_KINDS = {
    "float32": ("cos", "f32"),
    "int8": ("ip", "i8"),
    "ubinary": ("hamming", "b1"),
    "binary": ("hamming", "b1"),
}


_ONE_THREAD = 10_000
"""Vectors that one thread adds to a graph in a second or less; more are added by all."""


class _Usearch:
    name = "usearch"
    precisions: tuple[str, ...] = ("float32", "int8", "ubinary", "binary")

    def build(self, codes: np.ndarray, precision: str, exact: bool) -> Any:
        usearch = _import("usearch.index", "usearch")
        metric, dtype = _USEARCH_KINDS[precision]
        bits_per_byte = 8 if dtype == "b1" else 1
        index = usearch.Index(ndim=codes.shape[1] * bits_per_byte, metric=metric, dtype=dtype)
        # By one thread the graph is the same each time, and as good on a busy machine as on an idle one.
        threads = 1 if len(codes) <= _ONE_THREAD else 0
        index.add(np.arange(len(codes)), _raw_bits(codes, precision), threads=threads)
        return index

    def is_float(self, index: Any, precision: str) -> bool:
        return str(index.dtype).endswith("F32")

    def scan(
        self, index: Any, queries: np.ndarray, precision: str, k: int, exact: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        if len(index) == 0:
            return np.zeros((len(queries), 0)), np.zeros((len(queries), 0), dtype=np.int64)
        matches = index.search(_raw_bits(queries, precision), count=k, exact=exact)
        distances, keys = np.atleast_2d(matches.distances), np.atleast_2d(matches.keys).astype(np.int64)
        # A batch is padded to k; `counts` says how many slots are real. A single query is not padded.
        counts: Any = getattr(matches, "counts", keys.shape[1])
        counts = np.reshape(counts, (-1, 1))
        return distances, np.where(np.arange(keys.shape[1]) < counts, keys, -1)

    def codes(self, index: Any, positions: np.ndarray, precision: str) -> np.ndarray:
        rows = np.asarray(index.get(positions.astype(np.uint64)))
        return rows if precision == "int8" else rows.view(np.uint8)


def _raw_bits(codes: np.ndarray, precision: str) -> np.ndarray:
    """usearch compares raw bits: undo the offset of 128 that turns a ubinary byte into a signed one."""
    return codes.view(np.uint8) ^ 0x80 if precision == "binary" else codes


def _import(module: str, package: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"{module.split('.')[0]} is not installed; run: pip install {package}"
        ) from error
