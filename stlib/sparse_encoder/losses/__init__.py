"""Losses of sparse models."""

from stlib.older_paths import add_class_paths
from stlib.sparse_encoder.losses.cached_splade import CachedSpladeLoss
from stlib.sparse_encoder.losses.csr import CSRLoss, CSRReconstructionLoss
from stlib.sparse_encoder.losses.flops import FlopsLoss
from stlib.sparse_encoder.losses.sparse_angle import SparseAnglELoss
from stlib.sparse_encoder.losses.sparse_cosent import SparseCoSENTLoss
from stlib.sparse_encoder.losses.sparse_cosine_similarity import SparseCosineSimilarityLoss
from stlib.sparse_encoder.losses.sparse_distill_kl_div import SparseDistillKLDivLoss
from stlib.sparse_encoder.losses.sparse_margin_mse import SparseMarginMSELoss
from stlib.sparse_encoder.losses.sparse_mse import SparseMSELoss
from stlib.sparse_encoder.losses.sparse_multiple_negatives_ranking import SparseMultipleNegativesRankingLoss
from stlib.sparse_encoder.losses.sparse_triplet import SparseTripletLoss
from stlib.sparse_encoder.losses.splade import SpladeLoss

__all__ = [
    "CSRLoss",
    "CSRReconstructionLoss",
    "CachedSpladeLoss",
    "FlopsLoss",
    "SparseAnglELoss",
    "SparseCoSENTLoss",
    "SparseCosineSimilarityLoss",
    "SparseDistillKLDivLoss",
    "SparseMSELoss",
    "SparseMarginMSELoss",
    "SparseMultipleNegativesRankingLoss",
    "SparseTripletLoss",
    "SpladeLoss",
]

add_class_paths(__name__, {name: globals()[name] for name in __all__})
