"""What a search asks of a leg: the documents it would answer with, and what its scores are worth.

A leg is made for one question and one state of the collection, see `indexing.search.legs`. It knows nothing
of other legs; `indexing.search.fuse` adds them up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from sqlalchemy import Engine

from indexing.errors import BadInput
from indexing.models.encoders import normalise
from indexing.search.request import Request
from indexing.search.settings import SearchSettings
from indexing.search.timing import Steps
from indexing.views.manager import Readers
from stlib.runtime import EncoderProtocol

__all__ = ["Hits", "Kind", "Leg", "LegMaker", "Scale", "Sources"]

Kind: TypeAlias = Literal["similarity", "frequency"]
"""How scores are to be read. `similarity`: every document has one, and what counts is how far the best stands
out of the crowd. `frequency`: 0 where nothing matches, and one rare match may be far above all others.
"""


class Hits(NamedTuple):
    """Documents with their scores: keys int64 [n], float32 [n], and the best chunk of each, int64 [n], -1
    where the leg does not know one.
    """

    documents: np.ndarray
    scores: np.ndarray
    chunks: np.ndarray

    @classmethod
    def none(cls) -> Hits:
        return cls(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))


class Scale(NamedTuple):
    """Where the scores of a question lie over the whole collection: their mean and standard deviation. A
    spread of 0 says that the leg cannot tell documents apart.
    """

    centre: float
    spread: float


@dataclass(frozen=True)
class Sources:
    """What legs of one question are made from: one consistent set of readers, the model and the settings of
    the same serving.

    Attributes:
        database: the catalog.
        encoder: loads the model; called only by a leg that has a text to embed.
        beside: loads the model of a role, see `indexing.names.ROLES`.
        dimension: of the collection's vectors.
        settings: of the serving.
        missed: takes a sentence on a leg that is left out because its model cannot be opened, or that was
            answered by what stands in for its vectors; None where a missing one is an error: what is
            measured must not lack a leg.
    """

    readers: Readers
    database: Engine
    encoder: Callable[[], EncoderProtocol]
    beside: Callable[[str], Any]
    dimension: int
    settings: SearchSettings = field(default_factory=SearchSettings)
    missed: Callable[[str], None] | None = None
    _vectors: list[np.ndarray] = field(default_factory=list)

    def vector(self, request: Request, steps: Steps) -> np.ndarray:
        """What stands for the question, float32 [d] of length 1: by the model, unless the request brings it.

        Raises:
            BadInput: the vector that was brought has another dimension than the collection.
        """
        if not self._vectors:
            if request.vector is None:
                with steps.step("encode"):
                    self._vectors.append(normalise(self.encoder().encode_query([request.query]))[0])
            elif len(request.vector) != self.dimension:
                raise BadInput(
                    f"vector of {len(request.vector)} numbers: those of this collection have"
                    f" {self.dimension}; embed the query with the model that embedded its documents"
                )
            else:
                self._vectors.append(request.vector)
        return self._vectors[0]

    def searched_vector(self, request: Request, steps: Steps) -> np.ndarray:
        """The same, mapped as the serving has learned; a vector that was brought stays as it is."""
        vector, head = self.vector(request, steps), self.settings.head
        if head is None or request.vector is not None or head.dimension != len(vector):
            return vector
        return head(vector[None])[0]


class Leg(Protocol):
    """One way of finding documents for one question.

    Attributes:
        name: as in `indexing.names.LEGS`; parts of a score carry it.
        kind: how its scores are to be read when legs are added up.
        usual_weight: what its share is multiplied by where a serving says nothing, before shares are bounded.
        lag: committed changes that its index has not followed yet.
    """

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> Kind: ...

    @property
    def usual_weight(self) -> float: ...

    @property
    def lag(self) -> int: ...

    def find(self, k: int, allowed: np.ndarray | None) -> Hits:
        """The best `k` documents, best first, ties by ascending key; fewer where fewer answer.

        `allowed` is a boolean table over document keys; keys beyond its end are not allowed.
        """
        ...

    def score(self, documents: np.ndarray, found: Hits) -> Hits:
        """Score and best chunk of each of `documents` (keys int64 [n], ascending), in their order; 0 and -1
        where the leg has none. What it `found` need not be scored again.
        """
        ...

    def scale(self) -> Scale:
        """Where its scores for this question lie over the collection."""
        ...


LegMaker: TypeAlias = Callable[[Sources, Request, Steps], "Leg | None"]
"""Makes the leg of a request, which may take time, as embedding the query does: it goes into the steps. None
where there is nothing to walk on.
"""
