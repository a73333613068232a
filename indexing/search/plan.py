"""One query from text to results: encode ▸ filter ▸ retrieve ▸ fuse ▸ fetch ▸ rerank ▸ snippets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from sqlalchemy import Engine

from indexing.catalog.database import reading
from indexing.catalog.reads import StoredDocument, chunk_spans, document_ids, stored_documents
from indexing.documents.model import storable_text
from indexing.encoders import normalised
from indexing.errors import BadInput
from indexing.search.allowed import Allowed
from indexing.search.fusion import shares
from indexing.search.rerank import Reranking, passages_of, rerank
from indexing.search.results import MODES, Result, SearchResults
from indexing.search.retrieve import Leg, keyword_leg, scores_of, semantic_leg
from indexing.search.snippets import Highlighter, QueryWords, best_spots, make_snippet
from indexing.search.timing import Steps
from indexing.views.manager import Readers
from stlib.runtime import EncoderProtocol

__all__ = ["MAX_QUERY_CHARACTERS", "Plan", "Ranking"]

# Candidates that each leg contributes to a hybrid ranking. Deeper changes NDCG@10 by less than 0.001 and
# costs time.
DEPTH = 100
# A longer text is no question; its first part says what it is about.
MAX_QUERY_CHARACTERS = 20_000


@dataclass(frozen=True)
class Ranking:
    """Documents best first: keys int64 [n], scores float32 [n], best chunks int64 [n] (-1: none), each leg's
    part.
    """

    documents: np.ndarray
    scores: np.ndarray
    chunks: np.ndarray
    parts: list[dict[str, float | int | None]]


@dataclass(frozen=True)
class Candidate:
    """A document of a ranking, with its text; `span` is its best chunk, if the search has one."""

    document: StoredDocument
    span: tuple[int, int] | None
    score: float
    parts: dict[str, float | int | None]

    def reranked(self, former: int, score: float, read: float | None, rank: int) -> Candidate:
        """With the score that decides now; what retrieval said stays among the parts.

        Args:
            former: rank by retrieval.
            score: decides from now on.
            read: what the reranker said, None if it did not read the document.
            rank: rank by what the reranker said.
        """
        parts = {
            **self.parts,
            "retrieval": self.score,
            "retrieval_rank": former,
            "rerank": read,
            "rerank_rank": None if read is None else rank,
        }
        return replace(self, score=score, parts=parts)


@dataclass(frozen=True)
class Plan:
    """What a query needs besides its text."""

    engine: Engine
    encoder: Callable[[], EncoderProtocol]  # called only for modes that embed the query
    readers: Readers
    highlighter: Highlighter

    def search(
        self,
        query: str,
        k: int,
        mode: str,
        allowed: Allowed | None,
        steps: Steps,
        reranking: Reranking | None = None,
    ) -> SearchResults:
        """The best `k` documents with everything that is shown of them."""
        check_request(query, k, mode)
        table = None
        if allowed is not None:
            with steps.step("filter"), reading(self.engine) as connection:
                table = allowed.table(connection)
        depth = k if reranking is None else max(k, reranking.depth)
        ranking = self.rank(query, depth, mode, table, steps)
        found = self._fetched(ranking, allowed, steps)
        n_read, notes = None, [] if allowed is None else list(allowed.notes)
        if reranking is not None:
            wanted = min(len(found), reranking.depth)
            found, n_read = self._reranked(query, found, reranking, steps)
            if n_read < wanted:
                notes.append(f"time was up after {n_read} of {wanted} documents were reranked")
        with steps.step("snippets"):
            words = self.highlighter.query(query[:MAX_QUERY_CHARACTERS])
            results = [_result(candidate, words) for candidate in found[:k]]
        return SearchResults(
            query,
            mode,
            steps.total,
            steps.milliseconds,
            results,
            0 if mode == "semantic" else self.readers.keyword_lag,
            notes,
            n_read,
        )

    def rank(self, query: str, k: int, mode: str, allowed: np.ndarray | None, steps: Steps) -> Ranking:
        """Document keys and scores only."""
        query = storable_text(query[:MAX_QUERY_CHARACTERS])
        if not query.strip():
            return Ranking(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64), [])
        if mode == "keyword":
            with steps.step("keyword"):
                return _single(keyword_leg(self.readers.words, query, k, allowed), "keyword")
        with steps.step("encode"):
            vector = normalised(self.encoder().encode_query([query]))[0]
        if mode == "semantic":
            with steps.step("semantic"):
                return _single(semantic_leg(self.readers.vectors, vector, k, allowed), "semantic")
        return self._hybrid(query, vector, k, allowed, steps)

    def _hybrid(
        self, query: str, vector: np.ndarray, k: int, allowed: np.ndarray | None, steps: Steps
    ) -> Ranking:
        depth = max(DEPTH, k)
        with steps.step("semantic"):
            semantic = semantic_leg(self.readers.vectors, vector, depth, allowed)
        with steps.step("keyword"):
            keyword = keyword_leg(self.readers.words, query, depth, allowed)
        with steps.step("fuse"):
            documents = np.union1d(semantic.documents, keyword.documents)
            semantic_scores, chunks = self._semantic_scores(vector, documents)
            keyword_scores = self._keyword_scores(query, keyword, documents)
            by_meaning, by_words = shares(semantic_scores, keyword_scores, *self._statistics(query, vector))
            scores = (by_meaning + by_words).astype(np.float32)
            order = np.lexsort((documents, -scores))[:k]
        ranks = (_ranks(semantic), _ranks(keyword))
        parts = [
            {
                **_part("semantic", semantic_scores[i], ranks[0].get(int(documents[i])), by_meaning[i]),
                **_part("keyword", keyword_scores[i], ranks[1].get(int(documents[i])), by_words[i]),
            }
            for i in order
        ]
        return Ranking(documents[order], scores[order], chunks[order], parts)

    def _statistics(self, query: str, vector: np.ndarray) -> tuple[float, float, float]:
        """Mean and spread of the similarities over the collection, and the spread of BM25."""
        vectors, words = self.readers.vectors, self.readers.words
        mean, spread = (0.0, 0.0) if vectors is None else vectors.statistics(vector)
        return mean, spread, 0.0 if words is None else words.spread(query)

    def _semantic_scores(self, vector: np.ndarray, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.readers.vectors is None:
            return np.zeros(len(documents), np.float32), np.full(len(documents), -1, np.int64)
        hits = self.readers.vectors.score_documents(vector, documents)
        return hits.scores, hits.chunks

    def _keyword_scores(self, query: str, keyword: Leg, documents: np.ndarray) -> np.ndarray:
        """BM25 of every candidate: those that the keyword leg did not return are scored on their own."""
        scores = scores_of(keyword, documents)
        missing = documents[np.isnan(scores)]
        if len(missing) and self.readers.words is not None:
            found, found_scores = self.readers.words.search(query, len(missing), missing)
            extra = Leg(found, found_scores, found)
            scores = np.where(np.isnan(scores), scores_of(extra, documents), scores)
        return np.nan_to_num(scores, nan=0.0)

    def _fetched(self, ranking: Ranking, allowed: Allowed | None, steps: Steps) -> list[Candidate]:
        """The documents of a ranking with their texts, best first."""
        keys = ranking.documents.tolist()
        with steps.step("fetch"), reading(self.engine) as connection:
            if allowed is not None:
                still = allowed.still_matching(connection, keys)
            documents = stored_documents(connection, keys if allowed is None else still)
            spans = chunk_spans(connection, ranking.chunks.tolist())
        return [
            Candidate(
                documents[key],
                spans.get(int(ranking.chunks[position])),
                float(ranking.scores[position]),
                ranking.parts[position],
            )
            for position, key in enumerate(keys)
            if key in documents  # else it was deleted, or changed and fits no more, in between
        ]

    def _reranked(
        self, query: str, found: list[Candidate], reranking: Reranking, steps: Steps
    ) -> tuple[list[Candidate], int]:
        """The candidates in the reranker's order, and how many it has read."""
        with steps.step("rerank"):
            query = storable_text(query[:MAX_QUERY_CHARACTERS])
            words = self.highlighter.query(query)

            @cache
            def windows(position: int) -> list[str]:
                document, span = found[position].document, found[position].span
                return passages_of(document.title, document.text, best_spots(document.text, span, words))

            passages = _Passages(windows, range(len(found)))
            retrieved = np.asarray([candidate.score for candidate in found], np.float32)
            result = rerank(reranking, query, retrieved, passages)
        by_reading = np.argsort(np.argsort(-result.read, kind="stable"), kind="stable") + 1  # NaN comes last
        columns = (result.order, result.scores, result.read, by_reading)
        return [
            found[old].reranked(old + 1, score, None if np.isnan(read) else read, rank)
            for old, score, read, rank in zip(*(column.tolist() for column in columns), strict=True)
        ], result.n_read

    def ranked_ids(
        self,
        query: str,
        k: int,
        mode: str,
        allowed: np.ndarray | None,
        reranking: Reranking | None = None,
    ) -> list[tuple[str, float]]:
        """(id, score) best first: what an evaluation needs. Texts are fetched for a reranker only."""
        ranking = self.rank(query, k, mode, allowed, Steps())
        if reranking is not None:
            found, _ = self._reranked(query, self._fetched(ranking, None, Steps()), reranking, Steps())
            return [(candidate.document.id, candidate.score) for candidate in found]
        with reading(self.engine) as connection:
            ids = document_ids(connection, ranking.documents.tolist())
        pairs = zip(ranking.documents.tolist(), ranking.scores.tolist(), strict=True)
        return [(ids[key], score) for key, score in pairs if key in ids]


class _Passages(Sequence[Sequence[str]]):
    """What a reranker reads of each candidate, chosen when it is its turn: choosing takes time, of which a
    search may have little.
    """

    def __init__(self, windows: Callable[[int], list[str]], positions: range) -> None:
        self._windows = windows
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, at: Any) -> Any:
        chosen = self._positions[at]
        return _Passages(self._windows, chosen) if isinstance(chosen, range) else self._windows(chosen)


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


def check_request(query: str, k: int, mode: str) -> None:
    """Raises BadInput unless the request makes sense."""
    if not isinstance(query, str):
        raise BadInput(f"query of type {type(query).__name__}: give a text")
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise BadInput(f"k = {k!r}: give a whole number of results, 1 or more")
    if mode not in MODES:
        raise BadInput(f"mode {mode!r}: use one of {', '.join(MODES)}")


def _single(leg: Leg, name: str) -> Ranking:
    parts: list[dict[str, float | int | None]] = [
        {name: float(score), f"{name}_rank": rank} for rank, score in enumerate(leg.scores, 1)
    ]
    return Ranking(leg.documents, leg.scores, leg.chunks, parts)


def _ranks(leg: Leg) -> dict[int, int]:
    return {key: rank for rank, key in enumerate(leg.documents.tolist(), 1)}


def _part(name: str, score: float, rank: int | None, share: float) -> dict[str, float | int | None]:
    return {name: float(score), f"{name}_rank": rank, f"{name}_share": float(share)}
