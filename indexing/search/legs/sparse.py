"""By weighted terms: the dot product of what a model makes of the question and of the passages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from indexing.errors import BadInput, IndexingError
from indexing.inverted.postings import Terms
from indexing.search.legs.base import Hits, Kind, Scale, Sources
from indexing.search.request import Request
from indexing.search.timing import Steps

__all__ = ["SparseLeg"]

# Its best stands out of the crowd several times as far as that of a vector does, see `indexing.search.fuse`.
USUAL_WEIGHT = 0.2


class PassageHits(Protocol):
    """Documents, each with its best chunk and that one's score."""

    @property
    def documents(self) -> np.ndarray: ...

    @property
    def scores(self) -> np.ndarray: ...

    @property
    def chunks(self) -> np.ndarray: ...


class TermReader(Protocol):
    """What this leg needs of a view of weighted terms."""

    def search(self, question: Terms, k: int, allowed: np.ndarray | None = None) -> PassageHits: ...

    def score_documents(self, question: Terms, documents: np.ndarray) -> PassageHits: ...

    def statistics(self, question: Terms) -> tuple[float, float]: ...


@dataclass(frozen=True)
class SparseLeg:
    """The documents with the highest dot product; those without any of the question's terms are not found."""

    name: ClassVar[str] = "sparse"
    kind: ClassVar[Kind] = "similarity"
    usual_weight: ClassVar[float] = USUAL_WEIGHT
    lag: ClassVar[int] = 0  # newer rows are read from the log

    reader: TermReader
    question: Terms

    @classmethod
    def make(cls, sources: Sources, request: Request, steps: Steps) -> SparseLeg | None:
        """None where the collection has no weighted terms, or there is no text to make some of; and among
        other legs where the model cannot be opened, which is noted.

        Raises:
            BadInput: nothing but this leg was asked for, and the collection has none.
            BadInput, ModelMismatch, UntrustedModel: the model cannot be opened.
        """
        reader = sources.readers.terms
        if reader is None:
            if request.mode == cls.name:
                raise BadInput(
                    "mode 'sparse': this collection has no weighted terms; `stlib reindex NAME --sparse"
                    " MODEL` makes them"
                )
            return None
        if not request.query.strip():
            return None if request.mode != cls.name else cls(reader, _NOTHING)
        try:
            encoder = sources.beside("sparse")
        except IndexingError as error:
            if request.mode == cls.name or sources.missed is None:
                raise
            sources.missed(f"searched without the sparse leg: {error}")
            return None
        with steps.step("encode terms"):
            rows = encoder.encode_query([request.query])
        return cls(reader, Terms(*rows.row(0)))

    def find(self, k: int, allowed: np.ndarray | None) -> Hits:
        hits = self.reader.search(self.question, k, allowed)
        return Hits(hits.documents, hits.scores, hits.chunks)

    def score(self, documents: np.ndarray, found: Hits) -> Hits:
        hits = self.reader.score_documents(self.question, documents)
        return Hits(documents, hits.scores, hits.chunks)

    def scale(self) -> Scale:
        return Scale(*self.reader.statistics(self.question))


_NOTHING = Terms(np.empty(0, np.int32), np.empty(0, np.float32))
