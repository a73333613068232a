"""Evaluators under the names of earlier generations."""

from __future__ import annotations

from typing import Any

from stlib.cross_encoder.evaluation.classification import CrossEncoderClassificationEvaluator
from stlib.cross_encoder.evaluation.correlation import CrossEncoderCorrelationEvaluator
from stlib.cross_encoder.evaluation.reranking import CrossEncoderRerankingEvaluator
from stlib.util.older_names import warn_older_name


class CEBinaryAccuracyEvaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_older_name("CEBinaryAccuracyEvaluator", "CrossEncoderClassificationEvaluator")
        super().__init__(*args, **kwargs)


class CEBinaryClassificationEvaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_older_name("CEBinaryClassificationEvaluator", "CrossEncoderClassificationEvaluator")
        super().__init__(*args, **kwargs)


class CEF1Evaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_older_name("CEF1Evaluator", "CrossEncoderClassificationEvaluator")
        super().__init__(*args, **kwargs)


class CESoftmaxAccuracyEvaluator(CrossEncoderClassificationEvaluator):
    """Older name of :class:`CrossEncoderClassificationEvaluator`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_older_name("CESoftmaxAccuracyEvaluator", "CrossEncoderClassificationEvaluator")
        super().__init__(*args, **kwargs)


class CECorrelationEvaluator(CrossEncoderCorrelationEvaluator):
    """Older name of :class:`CrossEncoderCorrelationEvaluator`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_older_name("CECorrelationEvaluator", "CrossEncoderCorrelationEvaluator")
        super().__init__(*args, **kwargs)


class CERerankingEvaluator(CrossEncoderRerankingEvaluator):
    """Older name of :class:`CrossEncoderRerankingEvaluator`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        warn_older_name("CERerankingEvaluator", "CrossEncoderRerankingEvaluator")
        super().__init__(*args, **kwargs)
