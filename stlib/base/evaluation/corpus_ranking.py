"""The best documents of every query while a corpus is encoded chunk by chunk."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.base.evaluation.nan_scores import warn_of_nan
from stlib.errors import InvalidInput
from stlib.util.best_rows import BestRows
from stlib.util.exact_search import Scorer, blocks, is_row_by_row, is_sparse, rows_per_block, scorer_for
from stlib.util.tensor import to_float_matrix

logger = logging.getLogger(__name__)

# Queries whose scores and kept results stay in the cache together.
_QUERIES_PER_BLOCK = 256
# Scores of one call of a function of the user's: half a GiB in float32.
_MOST_SCORES = 2**27


class CorpusRanking:
    """The ``top_k`` best documents of each query under one score function.

    Similarity functions of :mod:`stlib.util` score small blocks, in some 50 MB. Any other function gets the
    documents as :meth:`add` gets them, and all queries, or as many of them as make 134 million scores.

    Args:
        queries: their embeddings, in whatever form the score function takes.
        score_function: ``(queries [q, d], documents [n, d]) -> [q, n]``, larger is better.
        top_k: documents kept per query.
    """

    def __init__(self, queries: Any, score_function: Callable[[Any, Any], Tensor], top_k: int) -> None:
        self._queries = queries
        self._function = score_function
        self._top_k = top_k
        self._scorer = Scorer(score_function)
        self._rows_per_block = 0
        self._parts: list[tuple[Any, BestRows]] = []
        self._seen = 0
        self._not_numbers = 0

    def add(self, documents: Any, ranks: np.ndarray) -> None:
        """Rank the next documents of the corpus.

        Args:
            documents: embeddings of ``n`` documents.
            ranks: ``[n]`` numbers; of documents with equal scores, the one with the smaller number is first.
        """
        if not self._parts:
            self._plan(documents)
        for start, block in blocks(documents, self._rows_per_block):
            prepared = self._scorer.corpus(block)
            block_ranks = ranks[start : start + self._rows_per_block]
            for queries, best in self._parts:
                scores = self._scorer(queries, prepared)
                expected = (len(queries), len(block_ranks))
                if tuple(scores.shape) != expected:
                    raise InvalidInput(
                        f"a score function made {list(scores.shape)} scores of {list(expected)}"
                    )
                scores = self._as_numbers(scores)
                best.offer(scores, self._seen + start, block_ranks)
        self._seen += len(ranks)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions in the corpus and scores, each ``[queries, min(top_k, documents)]``, best first.

        A document whose score is not a number is not found: the row ends in positions of -1 with scores -inf.
        """
        positions = np.concatenate([best.positions for _, best in self._parts])
        scores = np.concatenate([best.scores for _, best in self._parts])
        if self._not_numbers:
            warn_of_nan(logger, self._not_numbers, len(self._queries) * self._seen)
            positions[np.isneginf(scores)] = -1
        return positions, scores

    def _plan(self, documents: Any) -> None:
        """Decide how many queries and documents are scored at a time; ``documents`` is the largest chunk."""
        queries, n_queries = self._queries, len(self._queries)
        self._rows_per_block = len(documents)
        queries_per_block = n_queries
        if isinstance(queries, Tensor):
            queries_per_block = max(1, _MOST_SCORES // len(documents))
        if is_row_by_row(self._function):
            sparse = is_sparse(queries) or is_sparse(documents)
            queries = to_float_matrix(queries)
            self._scorer = scorer_for(self._function, sparse)
            if not sparse and queries.device.type == "cpu":
                queries_per_block = _QUERIES_PER_BLOCK
                self._rows_per_block = min(len(documents), rows_per_block(queries.shape[-1]))
        if queries_per_block >= n_queries:
            parts = [queries]
        else:
            parts = [part for _, part in blocks(queries, queries_per_block)]
        self._parts = [(self._scorer.queries(part), BestRows(len(part), self._top_k)) for part in parts]

    def _as_numbers(self, scores: Tensor) -> Tensor:
        # A sum is cheap, and not a number if any of the scores is none.
        if not torch.isnan(scores.sum()) or not torch.isnan(scores).any():
            return scores
        missing = torch.isnan(scores)
        self._not_numbers += int(missing.sum())
        return torch.where(missing, -torch.inf, scores)
