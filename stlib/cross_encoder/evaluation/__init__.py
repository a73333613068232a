"""Evaluators of rerankers."""

from stlib.cross_encoder.evaluation.classification import CrossEncoderClassificationEvaluator
from stlib.cross_encoder.evaluation.correlation import CrossEncoderCorrelationEvaluator
from stlib.cross_encoder.evaluation.deprecated import (
    CEBinaryAccuracyEvaluator,
    CEBinaryClassificationEvaluator,
    CECorrelationEvaluator,
    CEF1Evaluator,
    CERerankingEvaluator,
    CESoftmaxAccuracyEvaluator,
)
from stlib.cross_encoder.evaluation.nano_beir import CrossEncoderNanoBEIREvaluator
from stlib.cross_encoder.evaluation.reranking import CrossEncoderRerankingEvaluator
from stlib.older_paths import add_class_paths

__all__ = [
    "CEBinaryAccuracyEvaluator",
    "CEBinaryClassificationEvaluator",
    "CECorrelationEvaluator",
    "CEF1Evaluator",
    "CERerankingEvaluator",
    "CESoftmaxAccuracyEvaluator",
    "CrossEncoderClassificationEvaluator",
    "CrossEncoderCorrelationEvaluator",
    "CrossEncoderNanoBEIREvaluator",
    "CrossEncoderRerankingEvaluator",
]

add_class_paths(__name__, {name: globals()[name] for name in __all__})
