"""Documents that were found, with their texts: read again by a reranker, and turned into results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import Engine

from indexing.catalog.database import reading
from indexing.catalog.reads import FoundDocument, chunk_spans, stored_documents
from indexing.catalog.stored import read_metadata
from indexing.documents.marks import Mark, Place, place_at, read_marks
from indexing.search.allowed import Allowed
from indexing.search.ranking import Parts, Ranking
from indexing.search.rerank import Reranking, passages_of, reorder, rerank
from indexing.search.results import Result, Snippet
from indexing.search.snippets import Highlighter, QueryWords, best_spots, make_snippet
from indexing.search.token_reranker import TokenReranker

__all__ = ["Candidate", "fetch_candidates", "make_results", "rerank_candidates", "windows_of"]


@dataclass(frozen=True)
class Candidate:
    """A document of a ranking, with its text.

    Attributes:
        place: in the ranking, from 0.
        chunk: key of its best chunk; below 0 if no leg knows one.
        span: of that chunk, if it is there.
    """

    document: FoundDocument
    place: int
    chunk: int
    span: tuple[int, int] | None
    score: float
    parts: Parts

    def with_reading(self, score: float, said: Parts) -> Candidate:
        """With the score that decides now, and what the reranker said; what retrieval said stays among the
        parts.
        """
        parts = {**self.parts, "retrieval": self.score, "retrieval_rank": self.place + 1, **said}
        return replace(self, score=score, parts=parts)


def fetch_candidates(
    database: Engine, ranking: Ranking, places: Sequence[int], allowed: Allowed | None
) -> list[Candidate]:
    """The documents at `places` of a ranking, in this order. One that was deleted in between is left out, and
    so is one that has changed and is no longer `allowed`.
    """
    keys = ranking.documents[list(places)].tolist()
    chunks = ranking.chunks[list(places)].tolist()
    with reading(database) as connection:
        wanted = keys if allowed is None else allowed.still_matching(connection, keys)
        documents = stored_documents(connection, wanted)
        spans = chunk_spans(connection, [chunk for chunk in chunks if chunk >= 0])
    return [
        Candidate(
            documents[key],
            place,
            chunk,
            _inside(spans.get(chunk), documents[key].text),
            float(ranking.scores[place]),
            ranking.parts(place),
        )
        for place, key, chunk in zip(places, keys, chunks, strict=True)
        if key in documents
    ]


def _inside(span: tuple[int, int] | None, text: str) -> tuple[int, int] | None:
    """`span` if it lies in `text`; the two are of one moment unless the catalog was altered."""
    return span if span is not None and 0 <= span[0] < span[1] <= len(text) else None


def windows_of(candidate: Candidate, words: QueryWords) -> list[str]:
    """What a reranker reads of a candidate."""
    document = candidate.document
    return passages_of(document.title, document.text, best_spots(document.text, candidate.span, words))


def rerank_candidates(
    query: str, found: Sequence[Candidate], reranking: Reranking, highlighter: Highlighter
) -> tuple[list[Candidate], int]:
    """The candidates in the reranker's order, and how many it has read.

    Raises:
        RerankingFailed: the reranker failed.
    """
    retrieved = np.asarray([candidate.score for candidate in found], np.float32)
    if isinstance(reranking.reranker, TokenReranker):
        passages = [(candidate.document.key, candidate.chunk) for candidate in found]
        result = reorder(reranking, retrieved, reranking.reranker.reading(query, passages))
    else:
        words = highlighter.query(query)

        def windows(position: int) -> list[str]:
            return windows_of(found[position], words)

        result = rerank(reranking, query, retrieved, windows)
    by_reading = np.argsort(np.argsort(-result.read, kind="stable"), kind="stable") + 1  # NaN comes last
    columns = (result.read, by_reading, *result.shares)
    said = [
        _reading_parts(row, result.weight)
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]
    order = zip(result.order.tolist(), result.scores.tolist(), said, strict=True)
    return [found[old].with_reading(score, parts) for old, score, parts in order], result.n_read


def _reading_parts(row: Sequence[float], weight: float) -> Parts:
    """Parts of a document from what the reranker said, its rank by that, and both shares; NaN if not read."""
    names = ("rerank", "rerank_rank", "rerank_share", "retrieval_share")
    values = [None] * len(names) if np.isnan(row[0]) else row
    return {**dict(zip(names, values, strict=True)), "rerank_weight": weight}


def make_results(query: str, found: Sequence[Candidate], highlighter: Highlighter) -> list[Result]:
    """What is shown of each candidate, with a snippet for the query."""
    words = highlighter.query(query)
    return [_make_result(candidate, words) for candidate in found]


def _make_result(candidate: Candidate, words: QueryWords) -> Result:
    document = candidate.document
    snippet = make_snippet(document.text, candidate.span, words)
    return Result(
        document.id,
        candidate.score,
        document.title,
        document.text,
        snippet,
        read_metadata(document.metadata),
        candidate.parts,
        candidate.span,
        document.origin or "",
        place_of(read_marks(document.marks), document.text, snippet),
    )


def place_of(marks: Sequence[Mark], text: str, snippet: Snippet) -> Place:
    """Where a snippet of `text` is from: the line on which it begins, page and headings of the middle one of
    its marked words. Pages may be short, as those of slides are, and the beginning of the one before.
    """
    start = place_at(marks, text, snippet.start)
    if not snippet.highlights:
        return start
    middle = snippet.highlights[len(snippet.highlights) // 2][0]
    return place_at(marks, text, snippet.start + middle)._replace(line=start.line)
