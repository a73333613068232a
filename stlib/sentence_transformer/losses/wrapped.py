"""What losses that wrap another one ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from stlib.base.training.checks import losses_in
from stlib.errors import InvalidOption
from stlib.sentence_transformer.losses.contrastive_tension import TwoModelsLoss
from stlib.sentence_transformer.losses.denoising_auto_encoder import DenoisingAutoEncoderLoss
from stlib.sentence_transformer.losses.embed_distill import EmbedDistillLoss
from stlib.sentence_transformer.losses.global_orthogonal_regularization import (
    GlobalOrthogonalRegularizationLoss,
)
from stlib.sentence_transformer.losses.softmax import SoftmaxLoss
from stlib.util.names import describe_value


def check_wrapped(wrapper: nn.Module, loss: Any) -> None:
    """Refuse what is no loss, or gives several numbers.

    Raises:
        InvalidOption: it cannot be wrapped.
    """
    name = type(wrapper).__name__
    if isinstance(loss, type) or not callable(loss):
        raise InvalidOption(
            f"the loss of {name} is {describe_value(loss)}; pass a loss made of the same model, e.g. "
            "MultipleNegativesRankingLoss(model)"
        )
    if any(isinstance(one, GlobalOrthogonalRegularizationLoss) for one in losses_in(loss)):
        raise InvalidOption(
            f"GlobalOrthogonalRegularizationLoss gives two terms, and {name} weighs one number; wrap a loss "
            "of your own that adds them to another loss"
        )


def check_cut(wrapper: nn.Module, loss: Any, dims: Sequence[int]) -> None:
    """Refuse a loss that cannot read embeddings of the sizes ``dims``.

    Raises:
        InvalidOption: it cannot.
    """
    name = type(wrapper).__name__
    for one in losses_in(loss):
        inner = type(one).__name__
        if isinstance(one, TwoModelsLoss):
            raise InvalidOption(
                f"{inner} embeds with a copy of the model as well, which {name} does not cut; take another "
                "loss, e.g. MultipleNegativesRankingLoss over pairs of a text with itself"
            )
        size = _only_size(one)
        if size is not None and set(dims) != {size}:
            raise InvalidOption(
                f"{inner} has weights for embeddings of {size} dimensions and reads no smaller ones, and the "
                f"matryoshka_dims are {', '.join(map(str, dims))}; take a loss without weights of its own, "
                "e.g. MultipleNegativesRankingLoss, CoSENTLoss or MSELoss without projection_dim"
            )


def _only_size(loss: nn.Module) -> int | None:
    """The size of embeddings that a loss is made for; None if it takes any."""
    if isinstance(loss, SoftmaxLoss):
        return loss.embedding_dimension
    if isinstance(loss, EmbedDistillLoss) and loss.projection is not None:
        return loss.projection.in_features
    if isinstance(loss, DenoisingAutoEncoderLoss):
        return loss.decoder.config.hidden_size
    return None
