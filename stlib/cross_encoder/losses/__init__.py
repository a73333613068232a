"""Losses of rerankers."""

from stlib.cross_encoder.losses.adr_mse import ADRMSELoss
from stlib.cross_encoder.losses.binary_cross_entropy import BinaryCrossEntropyLoss
from stlib.cross_encoder.losses.cached_multiple_negatives_ranking import CachedMultipleNegativesRankingLoss
from stlib.cross_encoder.losses.cross_entropy import CrossEntropyLoss
from stlib.cross_encoder.losses.lambda_loss import (
    LambdaLoss,
    LambdaRankScheme,
    NDCGLoss1Scheme,
    NDCGLoss2PPScheme,
    NDCGLoss2Scheme,
    NoWeightingScheme,
)
from stlib.cross_encoder.losses.list_mle import ListMLELoss
from stlib.cross_encoder.losses.list_net import ListNetLoss
from stlib.cross_encoder.losses.margin_mse import MarginMSELoss
from stlib.cross_encoder.losses.mse import MSELoss
from stlib.cross_encoder.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from stlib.cross_encoder.losses.plist_mle import PListMLELambdaWeight, PListMLELoss
from stlib.cross_encoder.losses.rank_net import RankNetLoss
from stlib.older_paths import add_class_paths

__all__ = [
    "ADRMSELoss",
    "BinaryCrossEntropyLoss",
    "CachedMultipleNegativesRankingLoss",
    "CrossEntropyLoss",
    "LambdaLoss",
    "LambdaRankScheme",
    "ListMLELoss",
    "ListNetLoss",
    "MSELoss",
    "MarginMSELoss",
    "MultipleNegativesRankingLoss",
    "NDCGLoss1Scheme",
    "NDCGLoss2PPScheme",
    "NDCGLoss2Scheme",
    "NoWeightingScheme",
    "PListMLELambdaWeight",
    "PListMLELoss",
    "RankNetLoss",
]

add_class_paths(__name__, {name: globals()[name] for name in __all__})
