"""Documented short path of :mod:`stlib.sentence_transformer.evaluation`."""

from stlib.older_paths import add_older_path
from stlib.sentence_transformer.evaluation import (
    BaseEvaluator,
    SentenceEvaluator,
    SequentialEvaluator,
    SimilarityFunction,
)

__all__ = ["BaseEvaluator", "SentenceEvaluator", "SequentialEvaluator", "SimilarityFunction"]

add_older_path("stlib.evaluation.SentenceEvaluator", "stlib.base.evaluation.evaluator")
add_older_path("stlib.evaluation.SequentialEvaluator", "stlib.base.evaluation.sequential")
add_older_path("stlib.evaluation.SimilarityFunction", "stlib.util.similarity_function")
