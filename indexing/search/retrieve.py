"""The two legs: documents by meaning, documents by words, and the scores of one leg for the other's finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from indexing.lexical import LexicalSnapshot
from indexing.views.vectors import VectorReader

__all__ = ["Leg", "keyword_leg", "scores_of", "semantic_leg"]


@dataclass(frozen=True)
class Leg:
    """One leg's ranking, best first: `documents` int64 [n], `scores` float32 [n], `chunks` int64, or -1."""

    documents: np.ndarray
    scores: np.ndarray
    chunks: np.ndarray

    @classmethod
    def empty(cls) -> Leg:
        return cls(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))


def semantic_leg(reader: VectorReader | None, query: np.ndarray, k: int, allowed: np.ndarray | None) -> Leg:
    """The `k` documents whose best chunk is most similar to `query` (float32 [d], length 1)."""
    if reader is None:
        return Leg.empty()
    hits = reader.search(query, k, allowed)
    return Leg(hits.documents, hits.scores, hits.chunks)


def keyword_leg(words: LexicalSnapshot | None, query: str, k: int, allowed: np.ndarray | None) -> Leg:
    """The `k` documents with the highest BM25; `allowed` is a boolean table over document keys."""
    if words is None:
        return Leg.empty()
    documents, scores = words.search(query, k, None if allowed is None else np.flatnonzero(allowed))
    return Leg(documents, scores, np.full(len(documents), -1, np.int64))


def scores_of(leg: Leg, documents: np.ndarray) -> np.ndarray:
    """`leg`'s scores for `documents`, NaN where it has none."""
    found = dict(zip(leg.documents.tolist(), leg.scores.tolist(), strict=True))
    return np.asarray([found.get(key, np.nan) for key in documents.tolist()], dtype=np.float32)
