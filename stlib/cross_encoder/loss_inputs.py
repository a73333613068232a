"""What each loss of rerankers expects of a data set."""

from __future__ import annotations

from torch import nn

from stlib.base.training.checks import LossInputs, inputs_from

_LIST = LossInputs(
    2, 2, strict=True, label=True, label_help="a list with the relevance of each document of the query's list"
)
_IN_BATCH = LossInputs(2)

_LOSSES = {
    "ADRMSELoss": _LIST,
    "BinaryCrossEntropyLoss": LossInputs(2, 2, strict=True, label=True, label_help="1 or 0, or between"),
    "CachedMultipleNegativesRankingLoss": _IN_BATCH,
    "CrossEntropyLoss": LossInputs(
        2, 2, strict=True, label=True, label_help="the number of the pair's class"
    ),
    "LambdaLoss": _LIST,
    "ListMLELoss": _LIST,
    "ListNetLoss": _LIST,
    "MSELoss": LossInputs(2, 2, strict=True, label=True, label_help="the teacher's score"),
    "MarginMSELoss": LossInputs(3, label=True, label_help="the margins, or the teacher's scores"),
    "MultipleNegativesRankingLoss": _IN_BATCH,
    "PListMLELoss": _LIST,
    "RankNetLoss": _LIST,
}

_HOME = "stlib.cross_encoder.losses"


def inputs_of(loss: nn.Module) -> LossInputs | None:
    """What a loss expects; None for a user's own."""
    return inputs_from(_LOSSES, _HOME, loss)
