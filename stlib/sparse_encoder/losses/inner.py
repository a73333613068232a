"""What losses around another loss ask of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stlib.errors import InvalidOption
from stlib.util.names import describe_value


def check_inner(wrapper: nn.Module, loss: Any) -> None:
    """Refuse what gives no loss of embeddings and labels.

    Raises:
        InvalidOption: it has no ``compute_loss_from_embeddings``, or is a penalty.
    """
    name = type(wrapper).__name__
    example = f"{name}(model, loss=SparseMultipleNegativesRankingLoss(model), …)"
    if isinstance(loss, type) or not hasattr(loss, "compute_loss_from_embeddings"):
        raise InvalidOption(
            f"the loss of {name} is {describe_value(loss)}, which lacks the method "
            "compute_loss_from_embeddings(embeddings, labels); pass one of the losses over embeddings: "
            f"{example}"
        )
    # Penalties have a method of that name with other arguments.
    if getattr(loss, "is_penalty", False):
        raise InvalidOption(
            f"the loss of {name} is a {type(loss).__name__}, a penalty without an aim of its own; pass a "
            f"loss that ranks or scores: {example}"
        )


def named_parts(loss: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """The parts of a loss by name: its own, or the whole as ``base_loss``."""
    return loss if isinstance(loss, dict) else {"base_loss": loss}


def sum_of(parts: dict[str, Tensor]) -> Tensor:
    """The sum of at least one part."""
    return torch.stack(list(parts.values())).sum()


def join_rows(columns: list[Tensor]) -> Tensor:
    """One matrix of all rows; a single column is not copied, as it has the width of a vocabulary."""
    return columns[0] if len(columns) == 1 else torch.cat(columns)
