"""Documented short path of :mod:`stlib.sentence_transformer.losses`."""

from typing import TYPE_CHECKING, Any

from stlib.older_paths import add_older_path
from stlib.sentence_transformer import losses

if TYPE_CHECKING:
    from stlib.sentence_transformer.losses import *  # noqa: F403 - the names of __all__, for type checkers

__all__ = losses.__all__

add_older_path("stlib.losses.AdaptiveLayerLoss", "stlib.sentence_transformer.losses.adaptive_layer")
add_older_path("stlib.losses.AnglELoss", "stlib.sentence_transformer.losses.angle")
add_older_path("stlib.losses.BatchAllTripletLoss", "stlib.sentence_transformer.losses.batch_all_triplet")
add_older_path(
    "stlib.losses.BatchHardSoftMarginTripletLoss",
    "stlib.sentence_transformer.losses.batch_hard_soft_margin_triplet",
)
add_older_path("stlib.losses.BatchHardTripletLoss", "stlib.sentence_transformer.losses.batch_hard_triplet")
add_older_path(
    "stlib.losses.BatchSemiHardTripletLoss", "stlib.sentence_transformer.losses.batch_semi_hard_triplet"
)
add_older_path("stlib.losses.CachedGISTEmbedLoss", "stlib.sentence_transformer.losses.cached_gist_embed")
add_older_path(
    "stlib.losses.CachedMultipleNegativesRankingLoss",
    "stlib.sentence_transformer.losses.cached_multiple_negatives_ranking",
)
add_older_path(
    "stlib.losses.CachedMultipleNegativesSymmetricRankingLoss",
    "stlib.sentence_transformer.losses.cached_multiple_negatives_symmetric_ranking",
)
add_older_path("stlib.losses.CoSENTLoss", "stlib.sentence_transformer.losses.cosent")
add_older_path("stlib.losses.ContrastiveLoss", "stlib.sentence_transformer.losses.contrastive")
add_older_path("stlib.losses.ContrastiveTensionLoss", "stlib.sentence_transformer.losses.contrastive_tension")
add_older_path("stlib.losses.CosineSimilarityLoss", "stlib.sentence_transformer.losses.cosine_similarity")
add_older_path(
    "stlib.losses.DenoisingAutoEncoderLoss", "stlib.sentence_transformer.losses.denoising_auto_encoder"
)
add_older_path("stlib.losses.DistillKLDivLoss", "stlib.sentence_transformer.losses.distill_kl_div")
add_older_path("stlib.losses.EmbedDistillLoss", "stlib.sentence_transformer.losses.embed_distill")
add_older_path("stlib.losses.GISTEmbedLoss", "stlib.sentence_transformer.losses.gist_embed")
add_older_path(
    "stlib.losses.GlobalOrthogonalRegularizationLoss",
    "stlib.sentence_transformer.losses.global_orthogonal_regularization",
)
add_older_path("stlib.losses.MSELoss", "stlib.sentence_transformer.losses.mse")
add_older_path("stlib.losses.MarginMSELoss", "stlib.sentence_transformer.losses.margin_mse")
add_older_path("stlib.losses.Matryoshka2dLoss", "stlib.sentence_transformer.losses.matryoshka_2d")
add_older_path("stlib.losses.MatryoshkaLoss", "stlib.sentence_transformer.losses.matryoshka")
add_older_path("stlib.losses.MegaBatchMarginLoss", "stlib.sentence_transformer.losses.mega_batch_margin")
add_older_path(
    "stlib.losses.MultipleNegativesRankingLoss",
    "stlib.sentence_transformer.losses.multiple_negatives_ranking",
)
add_older_path(
    "stlib.losses.MultipleNegativesSymmetricRankingLoss",
    "stlib.sentence_transformer.losses.multiple_negatives_symmetric_ranking",
)
add_older_path("stlib.losses.OnlineContrastiveLoss", "stlib.sentence_transformer.losses.online_contrastive")
add_older_path("stlib.losses.SoftmaxLoss", "stlib.sentence_transformer.losses.softmax")
add_older_path("stlib.losses.TripletLoss", "stlib.sentence_transformer.losses.triplet")


def __getattr__(name: str) -> Any:
    return getattr(losses, name)
