"""The names of the similarity functions, usable without torch."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from stlib.errors import InvalidOption


class SimilarityFunction(Enum):
    """How two embeddings are compared; a larger value always means "more alike".

    Euclidean and Manhattan are negated distances, so that sorting by score works the same for all. The last
    two compare a vector per token and are for :class:`stlib.MultiVectorEncoder`.
    """

    COSINE = "cosine"
    DOT_PRODUCT = "dot"
    DOT = "dot"  # alias, same member
    EUCLIDEAN = "euclidean"
    MANHATTAN = "manhattan"
    MAXSIM = "maxsim"
    MEAN_MAXSIM = "meanmaxsim"

    @staticmethod
    def to_similarity_fn(similarity_function: str | SimilarityFunction) -> Callable[..., Any]:
        """Function ``(a [n, d], b [m, d]) -> Tensor [n, m]`` for a name or member.

        Raises:
            InvalidOption: the name is unknown.
        """
        return _function(similarity_function, 0)

    @staticmethod
    def to_similarity_pairwise_fn(similarity_function: str | SimilarityFunction) -> Callable[..., Any]:
        """Function ``(a [n, d], b [n, d]) -> Tensor [n]`` for a name or member.

        Raises:
            InvalidOption: the name is unknown.
        """
        return _function(similarity_function, 1)

    @staticmethod
    def possible_values() -> list[str]:
        """All names, e.g. for an error message."""
        return [member.value for member in SimilarityFunction]


# member -> (function over all pairs, function over aligned rows), both in stlib.util.similarity
_PAIRED_NAMES = {
    SimilarityFunction.COSINE: ("cos_sim", "pairwise_cos_sim"),
    SimilarityFunction.DOT_PRODUCT: ("dot_score", "pairwise_dot_score"),
    SimilarityFunction.EUCLIDEAN: ("euclidean_sim", "pairwise_euclidean_sim"),
    SimilarityFunction.MANHATTAN: ("manhattan_sim", "pairwise_manhattan_sim"),
    SimilarityFunction.MAXSIM: ("maxsim", "maxsim_pairwise"),
    SimilarityFunction.MEAN_MAXSIM: ("mean_maxsim", "mean_maxsim_pairwise"),
}


def _function(name: str | SimilarityFunction, place: int) -> Callable[..., Any]:
    from stlib.util import late_interaction, similarity_scores

    wanted = _PAIRED_NAMES[_member(name)][place]
    return getattr(similarity_scores, wanted, None) or getattr(late_interaction, wanted)


def _member(name: str | SimilarityFunction) -> SimilarityFunction:
    try:
        return SimilarityFunction(name)
    except ValueError:
        allowed = ", ".join(SimilarityFunction.possible_values())
        raise InvalidOption(f"unknown similarity function {name!r}; use one of: {allowed}") from None
