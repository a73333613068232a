"""Whether an answer is worth showing as one: said in a sentence, and nothing is left out for it."""

from __future__ import annotations

from collections.abc import Sequence

from indexing.models.callables import CallableEncoder
from indexing.models.encoders import normalise
from indexing.search.legs import Leg, Sources
from indexing.search.ranking import LegParts, Ranking
from indexing.search.request import Request
from indexing.search.timing import Steps

__all__ = ["weakness"]

_UNKNOWN = (
    "The model knows no word of this question, and no document has one:"
    " what stands here says nothing about it."
)
_BELOW = (
    "Nothing here answers the question as well as what was judged right before: the best has {:.2f}, right"
    " answers have {:.2f} and more."
)
# A letter of Ugaritic, which models read as "unknown", unless they know every byte.
_STRANGE = "\U00010380"
# Cosine of two vectors that are equal but for rounding.
_SAME = 0.9999


def weakness(sources: Sources, legs: Sequence[Leg], ranking: Ranking, request: Request) -> str | None:
    """Why the best of `ranking` is no good answer; None where nothing says so.

    The model may know no word of the question, and no document may have one. Or the best fused score is below
    the threshold that judgments gave, which is one of the hybrid mode.
    """
    if not len(ranking):
        return None
    if (
        request.vector is None
        and _has_no_word(sources, ranking, request)
        and _knows_no_word(sources, request)
    ):
        return _UNKNOWN
    threshold = sources.settings.threshold
    if threshold is not None and len(legs) > 1 and ranking.scores[0] < threshold:
        return _BELOW.format(float(ranking.scores[0]), threshold)
    return None


def _has_no_word(sources: Sources, ranking: Ranking, request: Request) -> bool:
    """Whether no document has a word of the question. One that all of very many have scores 0, rounded."""
    for part in ranking.legs:
        if part.name == "keyword" and isinstance(part, LegParts) and part.scores.any():
            return False
    return not len(sources.readers.words.search(request.query, 1).doc_keys)


def _knows_no_word(sources: Sources, request: Request) -> bool:
    """Whether the model reads the question as so many unknown words."""
    vector, encoder = sources.vector(request, Steps()), sources.encoder()
    if isinstance(encoder, CallableEncoder):  # each call may cost somebody money
        return False
    words = len(request.query.split())
    strange = encoder.encode_query([" ".join([_STRANGE] * words)])
    return not vector.any() or float(normalise(strange)[0] @ vector) > _SAME
