"""Evaluators of sparse models."""

from stlib.older_paths import add_class_paths
from stlib.sparse_encoder.evaluation.reciprocal_rank_fusion import ReciprocalRankFusionEvaluator
from stlib.sparse_encoder.evaluation.sparse_binary_classification import SparseBinaryClassificationEvaluator
from stlib.sparse_encoder.evaluation.sparse_embedding_similarity import SparseEmbeddingSimilarityEvaluator
from stlib.sparse_encoder.evaluation.sparse_information_retrieval import SparseInformationRetrievalEvaluator
from stlib.sparse_encoder.evaluation.sparse_mse import SparseMSEEvaluator
from stlib.sparse_encoder.evaluation.sparse_nano_beir import SparseNanoBEIREvaluator
from stlib.sparse_encoder.evaluation.sparse_reranking import SparseRerankingEvaluator
from stlib.sparse_encoder.evaluation.sparse_translation import SparseTranslationEvaluator
from stlib.sparse_encoder.evaluation.sparse_triplet import SparseTripletEvaluator

__all__ = [
    "ReciprocalRankFusionEvaluator",
    "SparseBinaryClassificationEvaluator",
    "SparseEmbeddingSimilarityEvaluator",
    "SparseInformationRetrievalEvaluator",
    "SparseMSEEvaluator",
    "SparseNanoBEIREvaluator",
    "SparseRerankingEvaluator",
    "SparseTranslationEvaluator",
    "SparseTripletEvaluator",
]

add_class_paths(__name__, {name: globals()[name] for name in __all__})
