"""By words: BM25 over whole documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from indexing.search.legs.base import Hits, Kind, Scale, Sources
from indexing.search.request import Request
from indexing.search.timing import Steps

__all__ = ["KeywordLeg"]


class DocumentHits(Protocol):
    @property
    def doc_keys(self) -> np.ndarray: ...

    @property
    def scores(self) -> np.ndarray: ...


class WordReader(Protocol):
    """What this leg needs of a keyword view; `allowed` are document keys int64, ascending."""

    def search(self, text: str, k: int, allowed: np.ndarray | None = None) -> DocumentHits: ...

    def spread(self, text: str) -> float: ...


@dataclass(frozen=True)
class KeywordLeg:
    """The documents with the highest BM25 for a text; those without any of its words are not found."""

    name: ClassVar[str] = "keyword"
    kind: ClassVar[Kind] = "frequency"
    usual_weight: ClassVar[float] = 1.0

    reader: WordReader | None
    text: str
    lag: int

    @classmethod
    def make(cls, sources: Sources, request: Request, steps: Steps) -> KeywordLeg:
        return cls(sources.readers.words, request.query, sources.readers.keyword_lag)

    def find(self, k: int, allowed: np.ndarray | None) -> Hits:
        return self._search(k, None if allowed is None else np.flatnonzero(allowed))

    def score(self, documents: np.ndarray, found: Hits) -> Hits:
        """Documents that were not found are looked up on their own."""
        scores = _scores_of(found, documents)
        missing = documents[np.isnan(scores)]
        if len(missing):
            scores = np.where(
                np.isnan(scores), _scores_of(self._search(len(missing), missing), documents), scores
            )
        return Hits(documents, np.nan_to_num(scores, nan=0.0), np.full(len(documents), -1, np.int64))

    def scale(self) -> Scale:
        """BM25 is 0 where no word matches: that is where it begins to count."""
        return Scale(0.0, 0.0 if self.reader is None else self.reader.spread(self.text))

    def _search(self, k: int, keys: np.ndarray | None) -> Hits:
        if self.reader is None:
            return Hits.none()
        hits = self.reader.search(self.text, k, keys)
        return Hits(hits.doc_keys, hits.scores, np.full(len(hits.doc_keys), -1, np.int64))


def _scores_of(hits: Hits, documents: np.ndarray) -> np.ndarray:
    """Scores float32 of `documents` among the hits, NaN for those that are not there."""
    scores = dict(zip(hits.documents.tolist(), hits.scores.tolist(), strict=True))
    return np.asarray([scores.get(key, np.nan) for key in documents.tolist()], dtype=np.float32)
