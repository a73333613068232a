"""Whether an answer is worth showing as one: said in a sentence, and nothing is left out for it."""

from __future__ import annotations

from collections.abc import Sequence

from indexing.search.legs import Leg
from indexing.search.legs.semantic import SemanticLeg
from indexing.search.ranking import Ranking
from indexing.search.request import Request
from indexing.search.settings import SearchSettings

__all__ = ["weakness"]

_UNKNOWN = "The model knows no word of this question{}: what stands here is in no particular order."
_BELOW = (
    "Nothing here answers the question as well as what was judged right before: the best has {:.2f}, and"
    " right answers have {:.2f} and more."
)


def weakness(legs: Sequence[Leg], ranking: Ranking, settings: SearchSettings, request: Request) -> str | None:
    """Why the best of `ranking` is no good answer; None where nothing says so.

    The model may know no word of the question, and no document may have one. Or the best fused score is below
    the threshold that judgments gave, which is one of the hybrid mode.
    """
    if not len(ranking):
        return None
    if _knows_nothing(legs, request):
        words = next((part for part in ranking.legs if part.name == "keyword"), None)
        if words is None:
            return _UNKNOWN.format("")
        if not words.shares.any() if words.shares is not None else False:
            return _UNKNOWN.format(", and no document has one")
    if settings.threshold is not None and len(legs) > 1 and ranking.scores[0] < settings.threshold:
        return _BELOW.format(float(ranking.scores[0]), settings.threshold)
    return None


def _knows_nothing(legs: Sequence[Leg], request: Request) -> bool:
    """Whether the question has no meaning for the model: a static model gives zeros for words it lacks."""
    semantic = next((leg for leg in legs if isinstance(leg, SemanticLeg)), None)
    return request.vector is None and semantic is not None and not semantic.vector.any()
