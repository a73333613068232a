"""Evaluators under the names of earlier generations."""

from __future__ import annotations

from stlib.cross_encoder.evaluation.classification import CrossEncoderClassificationEvaluator
from stlib.cross_encoder.evaluation.correlation import CrossEncoderCorrelationEvaluator
from stlib.cross_encoder.evaluation.reranking import CrossEncoderRerankingEvaluator


class CEBinaryAccuracyEvaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""


class CEBinaryClassificationEvaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""


class CEF1Evaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""


class CESoftmaxAccuracyEvaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""


class CECorrelationEvaluator(CrossEncoderCorrelationEvaluator):
    """Older name of :class:`CrossEncoderCorrelationEvaluator`."""


class CERerankingEvaluator(CrossEncoderRerankingEvaluator):
    """Older name of :class:`CrossEncoderRerankingEvaluator`."""
