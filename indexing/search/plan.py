"""One query from text to candidates: filter ▸ encode ▸ retrieve ▸ fuse ▸ fetch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine

from indexing.catalog.database import reading
from indexing.catalog.reads import chunk_spans, document_ids, stored_documents
from indexing.documents.model import storable_text
from indexing.errors import BadInput
from indexing.models.encoders import normalised
from indexing.names import MODES
from indexing.search.allowed import Allowed
from indexing.search.candidates import MAX_QUERY_CHARACTERS, Candidate
from indexing.search.fusion import shares
from indexing.search.retrieve import Leg, keyword_leg, scores_of, semantic_leg
from indexing.search.timing import Steps
from indexing.views.manager import Readers
from stlib.runtime import EncoderProtocol

__all__ = ["Plan", "Ranking", "check_request"]

# Candidates that each leg contributes to a hybrid ranking. Deeper changes NDCG@10 by less than 0.001 and
# costs time.
DEPTH = 100


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
class Plan:
    """What a query needs besides its text."""

    engine: Engine
    encoder: Callable[[], EncoderProtocol]  # called only for modes that embed the query
    readers: Readers

    def find(self, query: str, k: int, mode: str, allowed: Allowed | None, steps: Steps) -> list[Candidate]:
        """The best `k` documents with their texts, best first."""
        check_request(query, k, mode)
        table = None
        if allowed is not None:
            with steps.step("filter"), reading(self.engine) as connection:
                table = allowed.table(connection)
        return self.fetched(self.rank(query, k, mode, table, steps), allowed, steps)

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

    def fetched(self, ranking: Ranking, allowed: Allowed | None, steps: Steps) -> list[Candidate]:
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

    def ids(self, ranking: Ranking) -> list[str]:
        """The ids of a ranking's documents, best first: all that an evaluation needs."""
        with reading(self.engine) as connection:
            ids = document_ids(connection, ranking.documents.tolist())
        return [ids[key] for key in ranking.documents.tolist() if key in ids]


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
