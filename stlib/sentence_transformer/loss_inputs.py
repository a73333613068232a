"""What each loss of dense models expects of a data set."""

from __future__ import annotations

from torch import nn

from stlib.base.training.checks import LossInputs, inputs_from

_PAIR_WITH_NUMBER = LossInputs(2, 2, label=True, label_help="a number, larger for more similar pairs")
_PAIR_WITH_FLAG = LossInputs(2, 2, strict=True, label=True, label_help="1 for similar pairs, 0 for others")
_CLASSES = LossInputs(1, 1, label=True, label_help="the number of the text's class")
_IN_BATCH = LossInputs(2)
_PAIR = LossInputs(2, 2)

_LOSSES = {
    "AnglELoss": LossInputs(2, label=True, label_up_to=2),
    "BatchAllTripletLoss": _CLASSES,
    "BatchHardSoftMarginTripletLoss": _CLASSES,
    "BatchHardTripletLoss": _CLASSES,
    "BatchSemiHardTripletLoss": _CLASSES,
    "CachedGISTEmbedLoss": _IN_BATCH,
    "CachedMultipleNegativesRankingLoss": _IN_BATCH,
    "CachedMultipleNegativesSymmetricRankingLoss": _IN_BATCH,
    "CoSENTLoss": _PAIR_WITH_NUMBER,
    "ContrastiveLoss": _PAIR_WITH_FLAG,
    "CosineSimilarityLoss": _PAIR_WITH_NUMBER,
    "DistillKLDivLoss": LossInputs(2, label=True, label_help="the teacher's scores"),
    "EmbedDistillLoss": LossInputs(1, label=True, label_help="the teacher's embeddings"),
    "GISTEmbedLoss": _IN_BATCH,
    "MSELoss": LossInputs(1, label=True, label_help="the embedding that is wanted"),
    "MarginMSELoss": LossInputs(3, label=True, label_help="the margins, or the teacher's scores"),
    "MegaBatchMarginLoss": _PAIR,
    "MultipleNegativesRankingLoss": _IN_BATCH,
    "MultipleNegativesSymmetricRankingLoss": _IN_BATCH,
    "OnlineContrastiveLoss": _PAIR_WITH_FLAG,
    "SoftmaxLoss": LossInputs(2, 2, strict=True, label=True, label_help="the number of the pair's class"),
    "TripletLoss": LossInputs(3, 3, strict=True),
}

_HOME = "stlib.sentence_transformer.losses"


def inputs_of(loss: nn.Module) -> LossInputs | None:
    """What a loss expects; one that wraps another expects what that does. None for a user's own loss."""
    return inputs_from(_LOSSES, _HOME, loss)
