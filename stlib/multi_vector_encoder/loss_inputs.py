"""What each loss of late-interaction models expects of a data set."""

from __future__ import annotations

from torch import nn

from stlib.base.training.checks import LossInputs, inputs_from

_LOSSES = {
    "CachedMultiVectorMultipleNegativesRankingLoss": LossInputs(2),
    "MultiVectorDistillKLDivLoss": LossInputs(3, label=True, label_help="the teacher's scores"),
    "MultiVectorMarginMSELoss": LossInputs(3, label=True, label_help="the margins, or the teacher's scores"),
    "MultiVectorMultipleNegativesRankingLoss": LossInputs(2),
}

_HOME = "stlib.multi_vector_encoder.losses"


def inputs_of(loss: nn.Module) -> LossInputs | None:
    """What a loss expects; one that wraps another expects what that does. None for a user's own loss."""
    return inputs_from(_LOSSES, _HOME, loss)
