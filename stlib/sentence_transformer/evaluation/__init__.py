"""Evaluators of dense models."""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "BinaryClassificationEvaluator": "stlib.sentence_transformer.evaluation.binary_classification",
    "EmbeddingSimilarityEvaluator": "stlib.sentence_transformer.evaluation.embedding_similarity",
    "InformationRetrievalEvaluator": "stlib.sentence_transformer.evaluation.information_retrieval",
    "LabelAccuracyEvaluator": "stlib.sentence_transformer.evaluation.label_accuracy",
    "MSEEvaluator": "stlib.sentence_transformer.evaluation.mse",
    "MSEEvaluatorFromDataFrame": "stlib.sentence_transformer.evaluation.mse_from_dataframe",
    "NanoBEIREvaluator": "stlib.sentence_transformer.evaluation.nano_beir",
    "ParaphraseMiningEvaluator": "stlib.sentence_transformer.evaluation.paraphrase_mining",
    "RerankingEvaluator": "stlib.sentence_transformer.evaluation.reranking",
    "TranslationEvaluator": "stlib.sentence_transformer.evaluation.translation",
    "TripletEvaluator": "stlib.sentence_transformer.evaluation.triplet",
    "BaseEvaluator": "stlib.base.evaluation.evaluator",
    "SentenceEvaluator": "stlib.base.evaluation.evaluator",
    "SequentialEvaluator": "stlib.base.evaluation.sequential",
    "SimilarityFunction": "stlib.util.similarity_function",
}

__all__ = [
    "BaseEvaluator",
    "BinaryClassificationEvaluator",
    "EmbeddingSimilarityEvaluator",
    "InformationRetrievalEvaluator",
    "LabelAccuracyEvaluator",
    "MSEEvaluator",
    "MSEEvaluatorFromDataFrame",
    "NanoBEIREvaluator",
    "ParaphraseMiningEvaluator",
    "RerankingEvaluator",
    "SentenceEvaluator",
    "SequentialEvaluator",
    "SimilarityFunction",
    "TranslationEvaluator",
    "TripletEvaluator",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value
