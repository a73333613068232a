"""What losses over columns of inputs share: embed the columns, look at labels, name a metric."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import Tensor, nn

from stlib.base.losses.checks import (
    check_exact_columns,
    check_model,
    labels_per_row,
    require_columns,
    require_labels,
    teacher_margins,
)
from stlib.base.losses.merged_forward import embed_columns

__all__ = [
    "ColumnsLoss",
    "Metric",
    "check_columns",
    "check_exact_columns",
    "labels_per_row",
    "metric_name",
    "require_columns",
    "require_labels",
    "teacher_margins",
    "warn_unless_binary",
]

logger = logging.getLogger(__name__)

Metric = Callable[[Tensor, Tensor], Tensor]


class ColumnsLoss(nn.Module, ABC):
    """A loss that is a function of the embeddings of its columns, and of the labels.

    Subclasses implement ``compute_loss_from_embeddings``, which a caller with embeddings at hand may use too.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_model(self, model)
        # The trainer puts its wrapped model (compiled, or of several processes) in the place of this name.
        self.model: Any = model

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Any:
        """The loss of a batch: one features dict per column, and the labels ``[n]`` or ``[n, k]``."""
        return self.compute_loss_from_embeddings(embed_columns(self.model, sentence_features), labels)

    @abstractmethod
    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Any:
        """The loss of embeddings ``[n, d]``, one tensor per column."""


def check_columns(loss: nn.Module, columns: Sequence[Any], wanted: int, names: str) -> None:
    """As :func:`require_columns`, and report once that columns beyond those are not used."""
    require_columns(loss, columns, wanted, names)
    if len(columns) > wanted and not getattr(loss, "_told_extra_columns", False):
        loss._told_extra_columns = True  # type: ignore[assignment]
        logger.warning(
            "%s uses the first %s (%s) and ignores the other %d; remove them to save their embedding",
            type(loss).__name__,
            "column" if wanted == 1 else f"{wanted} columns",
            names,
            len(columns) - wanted,
        )


def warn_unless_binary(loss: nn.Module, labels: Tensor, consequence: str) -> None:
    """Warn if the first batch has other labels than 0 and 1. Later ones are not read: it stalls a device."""
    if getattr(loss, "_checked_labels", False):
        return
    loss._checked_labels = True  # type: ignore[assignment]
    if ((labels != 0) & (labels != 1)).any().item():
        message = (
            f"{type(loss).__name__} expects labels 0 (apart) and 1 (alike) and got others: {consequence}"
        )
        warnings.warn(message, UserWarning, stacklevel=5)


def metric_name(metric: Metric, known: type) -> str:
    """``Known.NAME`` of a metric that ``known`` offers, else the function's own name."""
    for name in vars(known):
        if not name.startswith("_") and getattr(known, name) is metric:
            return f"{known.__name__}.{name}"
    return getattr(metric, "__name__", str(metric))
