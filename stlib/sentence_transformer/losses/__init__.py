"""Losses of dense models."""

from stlib.sentence_transformer.losses.adaptive_layer import AdaptiveLayerLoss
from stlib.sentence_transformer.losses.angle import AnglELoss
from stlib.sentence_transformer.losses.batch_all_triplet import BatchAllTripletLoss
from stlib.sentence_transformer.losses.batch_hard_soft_margin_triplet import BatchHardSoftMarginTripletLoss
from stlib.sentence_transformer.losses.batch_hard_triplet import (
    BatchHardTripletLoss,
    BatchHardTripletLossDistanceFunction,
)
from stlib.sentence_transformer.losses.batch_semi_hard_triplet import BatchSemiHardTripletLoss
from stlib.sentence_transformer.losses.cached_gist_embed import CachedGISTEmbedLoss
from stlib.sentence_transformer.losses.cached_multiple_negatives_ranking import (
    CachedMultipleNegativesRankingLoss,
)
from stlib.sentence_transformer.losses.cached_multiple_negatives_symmetric_ranking import (
    CachedMultipleNegativesSymmetricRankingLoss,
)
from stlib.sentence_transformer.losses.contrastive import ContrastiveLoss, SiameseDistanceMetric
from stlib.sentence_transformer.losses.contrastive_tension import (
    ContrastiveTensionDataLoader,
    ContrastiveTensionLoss,
    ContrastiveTensionLossInBatchNegatives,
)
from stlib.sentence_transformer.losses.cosent import CoSENTLoss
from stlib.sentence_transformer.losses.cosine_similarity import CosineSimilarityLoss
from stlib.sentence_transformer.losses.denoising_auto_encoder import DenoisingAutoEncoderLoss
from stlib.sentence_transformer.losses.distill_kl_div import DistillKLDivLoss
from stlib.sentence_transformer.losses.embed_distill import EmbedDistillLoss
from stlib.sentence_transformer.losses.gist_embed import GISTEmbedLoss
from stlib.sentence_transformer.losses.global_orthogonal_regularization import (
    GlobalOrthogonalRegularizationLoss,
)
from stlib.sentence_transformer.losses.margin_mse import MarginMSELoss
from stlib.sentence_transformer.losses.matryoshka import MatryoshkaLoss
from stlib.sentence_transformer.losses.matryoshka_2d import Matryoshka2dLoss
from stlib.sentence_transformer.losses.mega_batch_margin import MegaBatchMarginLoss
from stlib.sentence_transformer.losses.mse import MSELoss
from stlib.sentence_transformer.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from stlib.sentence_transformer.losses.multiple_negatives_symmetric_ranking import (
    MultipleNegativesSymmetricRankingLoss,
)
from stlib.sentence_transformer.losses.online_contrastive import OnlineContrastiveLoss
from stlib.sentence_transformer.losses.softmax import SoftmaxLoss
from stlib.sentence_transformer.losses.triplet import TripletDistanceMetric, TripletLoss

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
