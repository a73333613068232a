"""By meaning: cosines of the query's vector and the passages' stored codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from indexing.search.legs.base import Hits, Kind, Scale, Sources
from indexing.search.request import Request
from indexing.search.timing import Steps

__all__ = ["SemanticLeg"]


class PassageHits(Protocol):
    """Documents, each with its best chunk and that one's score."""

    @property
    def documents(self) -> np.ndarray: ...

    @property
    def scores(self) -> np.ndarray: ...

    @property
    def chunks(self) -> np.ndarray: ...

    @property
    def note(self) -> str: ...


class VectorReader(Protocol):
    """What this leg needs of a vector view. `query` is float32 [d] of length 1."""

    def search(self, query: np.ndarray, k: int, allowed: np.ndarray | None = None) -> PassageHits: ...

    def score_documents(self, query: np.ndarray, documents: np.ndarray) -> PassageHits: ...

    def statistics(self, query: np.ndarray) -> tuple[float, float]: ...


@dataclass(frozen=True)
class SemanticLeg:
    """The documents whose best chunk is most similar to a vector float32 [d] of length 1.

    Attributes: `missed`, told what a person who searched should know of how it was done.
    """

    name: ClassVar[str] = "semantic"
    kind: ClassVar[Kind] = "similarity"
    usual_weight: ClassVar[float] = 1.0
    lag: ClassVar[int] = 0  # newer rows are read from the log and scanned

    reader: VectorReader | None
    vector: np.ndarray
    missed: Callable[[str], None] | None = None

    @classmethod
    def make(cls, sources: Sources, request: Request, steps: Steps) -> SemanticLeg:
        """Embeds the query, unless the request brings a vector.

        Raises:
            BadInput: the vector that was brought has another dimension than the collection.
        """
        return cls(sources.readers.vectors, sources.searched_vector(request, steps), sources.missed)

    def find(self, k: int, allowed: np.ndarray | None) -> Hits:
        if self.reader is None:
            return Hits.none()
        hits = self.reader.search(self.vector, k, allowed)
        if hits.note and self.missed is not None:
            self.missed(hits.note)
        return Hits(hits.documents, hits.scores, hits.chunks)

    def score(self, documents: np.ndarray, found: Hits) -> Hits:
        """Of all of them, as an approximate engine may have missed a document's best chunk."""
        if self.reader is None:
            return Hits(
                documents, np.zeros(len(documents), np.float32), np.full(len(documents), -1, np.int64)
            )
        hits = self.reader.score_documents(self.vector, documents)
        return Hits(documents, hits.scores, hits.chunks)

    def scale(self) -> Scale:
        return Scale(0.0, 0.0) if self.reader is None else Scale(*self.reader.statistics(self.vector))
