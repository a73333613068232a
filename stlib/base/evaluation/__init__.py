"""What every evaluator is, and several in a row."""

from stlib.base.evaluation.evaluator import BaseEvaluator, SentenceEvaluator
from stlib.base.evaluation.sequential import SequentialEvaluator

__all__ = ["BaseEvaluator", "SentenceEvaluator", "SequentialEvaluator"]
