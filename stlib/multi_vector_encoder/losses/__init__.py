"""Losses of late-interaction models."""

from stlib.multi_vector_encoder.losses.cached_multiple_negatives_ranking import (
    CachedMultiVectorMultipleNegativesRankingLoss,
)
from stlib.multi_vector_encoder.losses.distill_kl_div import MultiVectorDistillKLDivLoss
from stlib.multi_vector_encoder.losses.margin_mse import MultiVectorMarginMSELoss
from stlib.multi_vector_encoder.losses.multiple_negatives_ranking import (
    MultiVectorMultipleNegativesRankingLoss,
)

__all__ = [
    "CachedMultiVectorMultipleNegativesRankingLoss",
    "MultiVectorDistillKLDivLoss",
    "MultiVectorMarginMSELoss",
    "MultiVectorMultipleNegativesRankingLoss",
]
