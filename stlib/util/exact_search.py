"""Exact search by scoring every row, block by block, in memory that does not grow with the corpus.

On a CPU the corpus is read in blocks: scores of a block are compared with the worst result kept so far, and
only the few that beat it are sorted. Nothing is copied or normalised as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from stlib.util.best_rows import BestRows
from stlib.util.lists import refuse_text
from stlib.util.similarity import cos_sim, dot_score, euclidean_sim, manhattan_sim, pytorch_cos_sim
from stlib.util.tensor import normalize_embeddings, to_float_matrix, to_float_pair, to_tensor

ScoreFunction = Callable[[Tensor, Tensor], Tensor]

# Blocks that stay in the cache between measuring and multiplying their rows: a quarter faster than blocks of
# 64 MiB, where splitting the work among threads would cost less.
_BLOCK_BYTES = 24 * 2**20
_LEAST_ROWS = 1024

_COSINES: tuple[ScoreFunction, ...] = (cos_sim, pytorch_cos_sim)
# Functions whose score of two rows does not depend on the rows given beside them.
_ROW_BY_ROW: tuple[ScoreFunction, ...] = (*_COSINES, dot_score, euclidean_sim, manhattan_sim)


def semantic_search(
    query_embeddings: Any,
    corpus_embeddings: Any,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500000,
    top_k: int = 10,
    score_function: ScoreFunction = cos_sim,
) -> list[list[dict[str, Any]]]:
    """The ``top_k`` most similar corpus rows of each query.

    Memory beyond the inputs is bounded by ``query_chunk_size * corpus_chunk_size`` scores; the similarity
    functions of :mod:`stlib.util` need some 50 MB on a CPU. Read-only arrays (memory maps) are not copied.

    Args:
        query_embeddings: ``[q, d]`` (or one vector ``[d]``), tensor, array or list; dense or sparse.
        corpus_embeddings: ``[n, d]``; the search runs on its device.
        query_chunk_size: queries scored at a time.
        corpus_chunk_size: corpus rows scored at a time, at most.
        top_k: results per query; fewer when the corpus is smaller.
        score_function: ``(a [q, d], b [n, d]) -> [q, n]``, larger is better.

    Returns:
        For each query a list of ``{"corpus_id": int, "score": float}``, best first; of equal scores, the
        earlier row first (on a CPU).
    """
    refuse_text(query_embeddings=query_embeddings, corpus_embeddings=corpus_embeddings)
    queries = _queries_of(query_embeddings, corpus_embeddings, score_function)
    queries = queries.unsqueeze(0) if queries.dim() == 1 else queries
    if len(queries) == 0 or len(corpus_embeddings) == 0 or top_k < 1:
        return [[] for _ in range(len(queries))]
    found = _search(queries, corpus_embeddings, query_chunk_size, corpus_chunk_size, top_k, score_function)
    return [
        [{"corpus_id": i, "score": s} for i, s in zip(positions, scores, strict=True)]
        for kept in found
        for positions, scores in kept.rows()
    ]


def top_k_tensors(
    query_embeddings: Any,
    corpus_embeddings: Any,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500000,
    top_k: int = 10,
    score_function: ScoreFunction = cos_sim,
) -> tuple[Tensor, Tensor]:
    """What :func:`semantic_search` finds, as tensors; the arguments are the same.

    There must be a query, a corpus row and a result to find at least.

    Returns:
        Scores ``[q, k]``, best first, and positions in the corpus ``[q, k]`` (int64), where k is ``top_k`` or
        the size of a smaller corpus.
    """
    queries = _queries_of(query_embeddings, corpus_embeddings, score_function)
    found = _search(queries, corpus_embeddings, query_chunk_size, corpus_chunk_size, top_k, score_function)
    scores, positions = zip(*(kept.tensors() for kept in found), strict=True)
    return torch.cat(scores), torch.cat(positions)


def _search(
    queries: Tensor,
    corpus: Any,
    query_chunk_size: int,
    corpus_chunk_size: int,
    top_k: int,
    function: ScoreFunction,
) -> list[_Best]:
    """The results of each chunk of queries."""
    sample = to_tensor(corpus[:1]) if not is_sparse(corpus) else corpus
    score = scorer_for(function, sparse=queries.is_sparse or sample.is_sparse)
    chunks = [score.queries(chunk) for _, chunk in blocks(queries.to(sample.device), query_chunk_size)]
    on_cpu = sample.device.type == "cpu"
    best: list[_Best] = [(BestRows if on_cpu else _BestOnDevice)(len(chunk), top_k) for chunk in chunks]
    size = corpus_chunk_size
    if on_cpu and is_row_by_row(function) and not sample.is_sparse:
        size = min(size, rows_per_block(sample.shape[-1]))
    for start, rows in blocks(corpus, size):
        prepared = score.corpus(to_tensor(rows))
        for chunk, kept in zip(chunks, best, strict=True):
            kept.offer(score(chunk, prepared), start)
    return best


def _queries_of(queries: Any, corpus: Any, function: ScoreFunction) -> Tensor:
    """The queries; for a function of the user's, numbers without a type of their own, as from JSON, take that
    of a corpus of floats.
    """
    tensor = to_tensor(queries)
    if is_row_by_row(function):
        return tensor  # brings them together itself
    typed = hasattr(queries, "dtype") or (len(queries) and hasattr(queries[0], "dtype"))
    if typed or len(corpus) == 0:
        return tensor
    kind = to_tensor(corpus[0] if is_sparse(corpus) else corpus[:1]).dtype
    return tensor.to(kind) if kind.is_floating_point else tensor


def is_row_by_row(function: ScoreFunction) -> bool:
    """Whether the score of two rows is known not to depend on the rows given beside them."""
    return any(function is known for known in _ROW_BY_ROW)


def rows_per_block(dimension: int) -> int:
    """Corpus rows of a dimension to score at a time on a CPU."""
    return max(_LEAST_ROWS, _BLOCK_BYTES // (4 * max(1, dimension)))


def is_sparse(values: Any) -> bool:
    """Whether these are rows of a sparse tensor."""
    return isinstance(values, Tensor) and values.is_sparse


def blocks(values: Any, size: int) -> Iterator[tuple[int, Any]]:
    """Consecutive rows, ``size`` at a time, with the position of the first."""
    for start in range(0, len(values), size):
        if is_sparse(values):  # cannot be sliced
            stop = min(start + size, len(values))
            yield start, values.index_select(0, torch.arange(start, stop, device=values.device))
        else:
            yield start, values[start : start + size]


def take_rows(values: Any, positions: np.ndarray) -> Any:
    """The rows at some positions ``[n]``, of an array or a tensor, dense or sparse."""
    if is_sparse(values):  # cannot be indexed by arrays
        return values.index_select(0, torch.from_numpy(positions).to(values.device))
    return values[positions]


class Scorer:
    """A score function as it is."""

    def __init__(self, function: ScoreFunction) -> None:
        self._function = function

    def queries(self, rows: Tensor) -> Tensor:
        """What is done once to the queries."""
        return rows

    def corpus(self, rows: Tensor) -> Any:
        """What is done once to a block of the corpus, however many queries there are."""
        return rows

    def __call__(self, queries: Tensor, rows: Any) -> Tensor:
        return self._function(queries, rows).detach()


class _DenseCosine(Scorer):
    """Products with rows as they are, divided by the rows' lengths: rows are read but not written."""

    def queries(self, rows: Tensor) -> Tensor:
        return normalize_embeddings(to_float_matrix(rows)).detach()

    def corpus(self, rows: Tensor) -> Any:
        rows = to_float_matrix(rows).detach()
        # The lower bound is that of normalize_embeddings.
        return rows, torch.linalg.vector_norm(rows, dim=1).clamp_min_(1e-12)

    def __call__(self, queries: Tensor, rows: Any) -> Tensor:
        values, lengths = rows
        queries, values = to_float_pair(queries, values)
        return torch.mm(queries, values.transpose(0, 1)).div_(lengths)


class _SparseCosine(_DenseCosine):
    def corpus(self, rows: Tensor) -> Any:
        return normalize_embeddings(to_float_matrix(rows)).detach()

    def __call__(self, queries: Tensor, rows: Any) -> Tensor:
        return dot_score(queries, rows)


def scorer_for(function: ScoreFunction, sparse: bool) -> Scorer:
    """How a function is computed over blocks; cosines need no scaled copy of dense rows."""
    if not any(function is cosine for cosine in _COSINES):
        return Scorer(function)
    return _SparseCosine(function) if sparse else _DenseCosine(function)


class _Best(Protocol):
    """The best results so far of some queries."""

    def offer(self, scores: Tensor, offset: int) -> None:
        """Take ``[queries, n]`` scores of the rows from ``offset`` on."""

    def rows(self) -> list[tuple[list[int], list[float]]]:
        """Positions and scores of each query, best first."""

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Scores and positions ``[queries, kept]``, best first."""


class _BestOnDevice:
    """Results kept on an accelerator, by its own selection."""

    def __init__(self, n_queries: int, top_k: int) -> None:
        self._top_k = top_k
        self._scores: Tensor | None = None
        self._positions: Tensor | None = None

    def offer(self, scores: Tensor, offset: int) -> None:
        values, positions = torch.topk(scores, min(self._top_k, scores.shape[1]), dim=1)
        positions = positions + offset
        if self._scores is not None and self._positions is not None:
            values = torch.cat([self._scores, values], dim=1)
            positions = torch.cat([self._positions, positions], dim=1)
        # Earlier rows come first, so a stable sort keeps equal scores in the order of the corpus.
        order = torch.argsort(values, dim=1, descending=True, stable=True)[:, : self._top_k]
        self._scores, self._positions = values.gather(1, order), positions.gather(1, order)

    def rows(self) -> list[tuple[list[int], list[float]]]:
        scores, positions = self.tensors()
        return list(zip(positions.tolist(), scores.tolist(), strict=True))

    def tensors(self) -> tuple[Tensor, Tensor]:
        if self._scores is None or self._positions is None:
            return torch.empty(0, 0), torch.empty(0, 0, dtype=torch.int64)
        return self._scores, self._positions
