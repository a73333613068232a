"""Evaluators of dense models."""

from stlib.base.evaluation import BaseEvaluator, SentenceEvaluator, SequentialEvaluator
from stlib.util.similarity_function import SimilarityFunction

__all__ = ["BaseEvaluator", "SentenceEvaluator", "SequentialEvaluator", "SimilarityFunction"]
