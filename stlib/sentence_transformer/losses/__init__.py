# ruff: noqa: E501 - a path of a module does not break
"""Losses of dense models."""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "AdaptiveLayerLoss": "stlib.sentence_transformer.losses.adaptive_layer",
    "AnglELoss": "stlib.sentence_transformer.losses.angle",
    "BatchAllTripletLoss": "stlib.sentence_transformer.losses.batch_all_triplet",
    "BatchHardSoftMarginTripletLoss": "stlib.sentence_transformer.losses.batch_hard_soft_margin_triplet",
    "BatchHardTripletLoss": "stlib.sentence_transformer.losses.batch_hard_triplet",
    "BatchHardTripletLossDistanceFunction": "stlib.sentence_transformer.losses.batch_hard_triplet",
    "BatchSemiHardTripletLoss": "stlib.sentence_transformer.losses.batch_semi_hard_triplet",
    "CachedGISTEmbedLoss": "stlib.sentence_transformer.losses.cached_gist_embed",
    "CachedMultipleNegativesRankingLoss": "stlib.sentence_transformer.losses.cached_multiple_negatives_ranking",
    "CachedMultipleNegativesSymmetricRankingLoss": "stlib.sentence_transformer.losses.cached_multiple_negatives_symmetric_ranking",
    "CoSENTLoss": "stlib.sentence_transformer.losses.cosent",
    "ContrastiveLoss": "stlib.sentence_transformer.losses.contrastive",
    "ContrastiveTensionDataLoader": "stlib.sentence_transformer.losses.contrastive_tension",
    "ContrastiveTensionLoss": "stlib.sentence_transformer.losses.contrastive_tension",
    "ContrastiveTensionLossInBatchNegatives": "stlib.sentence_transformer.losses.contrastive_tension",
    "CosineSimilarityLoss": "stlib.sentence_transformer.losses.cosine_similarity",
    "DenoisingAutoEncoderLoss": "stlib.sentence_transformer.losses.denoising_auto_encoder",
    "DistillKLDivLoss": "stlib.sentence_transformer.losses.distill_kl_div",
    "EmbedDistillLoss": "stlib.sentence_transformer.losses.embed_distill",
    "GISTEmbedLoss": "stlib.sentence_transformer.losses.gist_embed",
    "GlobalOrthogonalRegularizationLoss": "stlib.sentence_transformer.losses.global_orthogonal_regularization",
    "MSELoss": "stlib.sentence_transformer.losses.mse",
    "MarginMSELoss": "stlib.sentence_transformer.losses.margin_mse",
    "Matryoshka2dLoss": "stlib.sentence_transformer.losses.matryoshka_2d",
    "MatryoshkaLoss": "stlib.sentence_transformer.losses.matryoshka",
    "MegaBatchMarginLoss": "stlib.sentence_transformer.losses.mega_batch_margin",
    "MultipleNegativesRankingLoss": "stlib.sentence_transformer.losses.multiple_negatives_ranking",
    "MultipleNegativesSymmetricRankingLoss": "stlib.sentence_transformer.losses.multiple_negatives_symmetric_ranking",
    "OnlineContrastiveLoss": "stlib.sentence_transformer.losses.online_contrastive",
    "SiameseDistanceMetric": "stlib.sentence_transformer.losses.contrastive",
    "SoftmaxLoss": "stlib.sentence_transformer.losses.softmax",
    "TripletDistanceMetric": "stlib.sentence_transformer.losses.triplet",
    "TripletLoss": "stlib.sentence_transformer.losses.triplet",
}

__all__ = [
    "AdaptiveLayerLoss",
    "AnglELoss",
    "BatchAllTripletLoss",
    "BatchHardSoftMarginTripletLoss",
    "BatchHardTripletLoss",
    "BatchHardTripletLossDistanceFunction",
    "BatchSemiHardTripletLoss",
    "CachedGISTEmbedLoss",
    "CachedMultipleNegativesRankingLoss",
    "CachedMultipleNegativesSymmetricRankingLoss",
    "CoSENTLoss",
    "ContrastiveLoss",
    "ContrastiveTensionDataLoader",
    "ContrastiveTensionLoss",
    "ContrastiveTensionLossInBatchNegatives",
    "CosineSimilarityLoss",
    "DenoisingAutoEncoderLoss",
    "DistillKLDivLoss",
    "EmbedDistillLoss",
    "GISTEmbedLoss",
    "GlobalOrthogonalRegularizationLoss",
    "MSELoss",
    "MarginMSELoss",
    "Matryoshka2dLoss",
    "MatryoshkaLoss",
    "MegaBatchMarginLoss",
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "OnlineContrastiveLoss",
    "SiameseDistanceMetric",
    "SoftmaxLoss",
    "TripletDistanceMetric",
    "TripletLoss",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_EXPORTS[name]), name)
    globals()[name] = value
    return value
