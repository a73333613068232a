"""Documented short path of :class:`stlib.util.similarity.SimilarityFunction`."""

from stlib.util.similarity_function import SimilarityFunction

__all__ = ["SimilarityFunction"]
