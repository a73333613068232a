"""What losses of rerankers share: they get columns of raw texts, and score pairs of them with the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import check_exact_columns, labels_per_row
from stlib.base.losses.replaced import unwrap
from stlib.cross_encoder.predicting import score_features
from stlib.errors import InvalidInput, InvalidOption
from stlib.util.misc import fullname
from stlib.util.tensor import batch_to_device


class PairsLoss(nn.Module):
    """A loss of a reranker's scores of pairs.

    Args:
        model: the model to train.
        activation_fn: applied to the logits before the loss is computed; None for none.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has another number of labels than the loss takes.
    """

    def __init__(self, model: Any, activation_fn: nn.Module | None) -> None:
        super().__init__()
        _check_model(self, model)
        # The trainer puts its wrapped model (compiled, or of several processes) in the place of this name.
        self.model: Any = model
        self.activation_fn: nn.Module = nn.Identity() if activation_fn is None else activation_fn
        self.check_num_labels(unwrap(model, "CrossEncoder").num_labels)

    def check_num_labels(self, num_labels: int) -> None:
        """Refuse a model whose pairs do not have one score."""
        if num_labels != 1:
            raise InvalidOption(
                f"{type(self).__name__} trains a model with 1 output label, and this one has {num_labels}; "
                "load it with CrossEncoder(…, num_labels=1)"
            )

    def score(self, pairs: Sequence[Any], prompt: str | None = None, task: str | None = None) -> Tensor:
        """Logits ``[n, labels]`` of n pairs, before the activation."""
        return score_features(self.model, self.preprocess(pairs, prompt, task))

    def preprocess(
        self, pairs: Sequence[Any], prompt: str | None = None, task: str | None = None
    ) -> dict[str, Any]:
        """Features of pairs on the model's device."""
        inner = unwrap(self.model, "CrossEncoder")
        return batch_to_device(inner.preprocess(pairs, prompt=prompt, task=task), inner.device)

    def get_config_dict(self) -> dict[str, Any]:
        return {"activation_fn": fullname(self.activation_fn)}


class ScoredPairsLoss(PairsLoss):
    """A loss over (text, text) pairs with one label each, a number."""

    labels_are = "a number"

    def scores_and_labels(
        self, inputs: Sequence[Any], labels: Any, prompt: str | None, task: str | None
    ) -> tuple[Tensor, Tensor]:
        """Activated scores and labels, each ``[n]``."""
        check_exact_columns(self, inputs, 2, "the two texts of each pair")
        pairs = list(zip(*inputs, strict=True))
        aims = labels_per_row(self, as_tensor(self, labels), len(pairs), self.labels_are)
        scores = self.activation_fn(self.score(pairs, prompt, task).reshape(-1))
        return scores, aims.to(scores.device).float()


def as_tensor(loss: nn.Module, labels: Any) -> Tensor | None:
    """Labels as one tensor; the collator makes a list of tensors of labels that are lists.

    Raises:
        InvalidInput: the lists differ in length.
    """
    if labels is None or isinstance(labels, Tensor):
        return labels
    try:
        return torch.stack([torch.as_tensor(label) for label in labels])
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidInput(
            f"{type(loss).__name__} takes numbers, or lists of as many numbers in each row, as labels; "
            f"a batch of them starts with {list(labels[:2])!r}"
        ) from error


def _check_model(loss: nn.Module, model: Any) -> None:
    if not isinstance(model, nn.Module) or unwrap(model, "CrossEncoder") is None:
        raise InvalidOption(f"{type(loss).__name__} trains a CrossEncoder, and got a {type(model).__name__}")
