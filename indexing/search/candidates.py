"""Documents that were found, with their texts: read again by a reranker, and turned into results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexing.catalog.reads import StoredDocument
from indexing.documents.model import storable_text
from indexing.search.rerank import Reranking, passages_of, rerank
from indexing.search.results import Result
from indexing.search.snippets import Highlighter, QueryWords, best_spots, make_snippet

__all__ = ["MAX_QUERY_CHARACTERS", "Candidate", "reranked", "to_results"]

# A longer text is no question; its first part says what it is about.
MAX_QUERY_CHARACTERS = 20_000


@dataclass(frozen=True)
class Candidate:
    """A document of a ranking, with its text; `span` is its best chunk, if the search has one."""

    document: StoredDocument
    span: tuple[int, int] | None
    score: float
    parts: dict[str, float | int | None]

    def reranked(self, former: int, score: float, said: dict[str, float | int | None]) -> Candidate:
        """With the score that decides now; what retrieval said stays among the parts.

        Args:
            former: rank by retrieval.
            score: decides from now on.
            said: parts of the reranker.
        """
        parts = {**self.parts, "retrieval": self.score, "retrieval_rank": former, **said}
        return replace(self, score=score, parts=parts)


def reranked(
    query: str, found: Sequence[Candidate], reranking: Reranking, highlighter: Highlighter
) -> tuple[list[Candidate], int]:
    """The candidates in the reranker's order, and how many it has read.

    Raises:
        RerankingFailed: the reranker failed.
    """
    query = storable_text(query[:MAX_QUERY_CHARACTERS])
    words = highlighter.query(query)

    def windows(position: int) -> list[str]:
        document, span = found[position].document, found[position].span
        return passages_of(document.title, document.text, best_spots(document.text, span, words))

    retrieved = np.asarray([candidate.score for candidate in found], np.float32)
    result = rerank(reranking, query, retrieved, windows)
    by_reading = np.argsort(np.argsort(-result.read, kind="stable"), kind="stable") + 1  # NaN comes last
    columns = (result.read, by_reading, *result.shares)
    said = [_said(row, result.weight) for row in zip(*(column.tolist() for column in columns), strict=True)]
    order = zip(result.order.tolist(), result.scores.tolist(), said, strict=True)
    return [found[old].reranked(old + 1, score, parts) for old, score, parts in order], result.n_read


def _said(row: Sequence[float], weight: float) -> dict[str, float | int | None]:
    """Parts of a document from what the reranker said, its rank by that, and both shares; NaN if not read."""
    names = ("rerank", "rerank_rank", "rerank_share", "retrieval_share")
    values = [None] * len(names) if np.isnan(row[0]) else row
    return {**dict(zip(names, values, strict=True)), "rerank_weight": weight}


def to_results(query: str, found: Sequence[Candidate], highlighter: Highlighter) -> list[Result]:
    """What is shown of each candidate, with a snippet for the query."""
    words = highlighter.query(query[:MAX_QUERY_CHARACTERS])
    return [_result(candidate, words) for candidate in found]


def _result(candidate: Candidate, words: QueryWords) -> Result:
    document = candidate.document
    return Result(
        document.id,
        candidate.score,
        document.title,
        document.text,
        make_snippet(document.text, candidate.span, words),
        json.loads(document.metadata),
        candidate.parts,
    )
