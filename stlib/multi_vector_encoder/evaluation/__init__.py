"""Evaluators of late-interaction models."""

from stlib.multi_vector_encoder.evaluation.distillation import MultiVectorDistillationEvaluator
from stlib.multi_vector_encoder.evaluation.information_retrieval import (
    MultiVectorInformationRetrievalEvaluator,
)
from stlib.multi_vector_encoder.evaluation.nano_beir import MultiVectorNanoBEIREvaluator
from stlib.multi_vector_encoder.evaluation.reranking import MultiVectorRerankingEvaluator
from stlib.multi_vector_encoder.evaluation.triplet import MultiVectorTripletEvaluator

__all__ = [
    "MultiVectorDistillationEvaluator",
    "MultiVectorInformationRetrievalEvaluator",
    "MultiVectorNanoBEIREvaluator",
    "MultiVectorRerankingEvaluator",
    "MultiVectorTripletEvaluator",
]
