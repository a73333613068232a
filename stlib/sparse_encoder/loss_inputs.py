"""What each loss of sparse models expects of a data set."""

from __future__ import annotations

from torch import nn

from stlib.base.training.checks import LossInputs, inputs_from

_PAIR_WITH_NUMBER = LossInputs(2, 2, label=True, label_help="a number, larger for more similar pairs")

_LOSSES = {
    "SparseAnglELoss": _PAIR_WITH_NUMBER,
    "SparseCoSENTLoss": _PAIR_WITH_NUMBER,
    "SparseCosineSimilarityLoss": _PAIR_WITH_NUMBER,
    "SparseDistillKLDivLoss": LossInputs(3, label=True, label_help="the teacher's scores"),
    "SparseMSELoss": LossInputs(1, label=True, label_help="the embedding that is wanted"),
    "SparseMarginMSELoss": LossInputs(3, label=True, label_help="the margins, or the teacher's scores"),
    "SparseMultipleNegativesRankingLoss": LossInputs(2),
    "SparseTripletLoss": LossInputs(3, 3, strict=True),
}

_HOME = "stlib.sparse_encoder.losses"


def inputs_of(loss: nn.Module) -> LossInputs | None:
    """What a loss expects; one that wraps another expects what that does. None for a user's own loss."""
    return inputs_from(_LOSSES, _HOME, loss)
