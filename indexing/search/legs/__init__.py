"""The legs of a search, one file each. A mode is a name for a list of them, see `indexing.names.MODE_LEGS`.

A new leg is a class as `base.Leg` describes it, a name in `indexing.names.LEGS`, and an entry here.
"""

from __future__ import annotations

from indexing.names import MODE_LEGS
from indexing.search.legs.base import Leg, LegMaker, Sources
from indexing.search.legs.keyword import KeywordLeg
from indexing.search.legs.memory import MemoryLeg
from indexing.search.legs.semantic import SemanticLeg
from indexing.search.legs.sparse import SparseLeg
from indexing.search.request import Request
from indexing.search.timing import Steps

__all__ = ["MAKERS", "Leg", "Sources", "make_legs"]

MAKERS: dict[str, LegMaker] = {
    "semantic": SemanticLeg.make,
    "keyword": KeywordLeg.make,
    "sparse": SparseLeg.make,
    "memory": MemoryLeg.make,
}


def make_legs(sources: Sources, request: Request, steps: Steps) -> list[Leg]:
    """The legs of the request's mode, in their order; a leg that has nothing to walk on is left out.

    Raises:
        BadInput: the request brings what a leg cannot use, such as a vector of another dimension.
    """
    made = (MAKERS[name](sources, request, steps) for name in MODE_LEGS[request.mode])
    return [leg for leg in made if leg is not None]
