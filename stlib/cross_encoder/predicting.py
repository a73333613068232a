"""What one call of ``predict`` asks for: the pairs it was given, and scores made of each batch."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.errors import InvalidInput, InvalidOption, ModelConfigError
from stlib.util.tensor import batch_to_device, tensor_to_numpy


@dataclass(frozen=True)
class PredictOptions:
    """What every batch of one call of ``predict`` shares."""

    activation_fn: Callable[[Tensor], Tensor] | None
    apply_softmax: bool
    num_labels: int
    prompt: str | None = None
    to_cpu: bool = True
    keywords: dict[str, Any] = field(default_factory=dict)

    @torch.inference_mode()
    def run(self, model: Any, features: dict[str, Any], n: int) -> Tensor:
        """Scores of n pairs: ``[n]`` for a model of one label, ``[n, labels]`` otherwise."""
        output = model(batch_to_device(features, model.device), **self.keywords)
        if "scores" not in output:
            raise ModelConfigError(
                "the modules of this model compute no 'scores'; a reranker needs a Transformer with "
                "transformer_task='sequence-classification', or a last module that writes them"
            )
        scores: Tensor = output["scores"]
        if scores.is_floating_point() and scores.element_size() < 4:
            # Few digits would make ties of different scores.
            scores = scores.float()
        if self.activation_fn is not None:
            scores = self.activation_fn(scores)
        if self.num_labels == 1 and scores.ndim > 1:
            scores = scores.squeeze(-1)
        if self.apply_softmax and scores.ndim > 1:
            scores = torch.softmax(scores, dim=1)
        return scores.cpu() if self.to_cpu else scores


def is_single_pair(inputs: Any) -> bool:
    """Whether ``inputs`` is one pair rather than a collection of pairs."""
    if isinstance(inputs, np.ndarray):
        return inputs.size > 0 and inputs.ndim < 2 and not _is_pair(inputs.flat[0])
    if isinstance(inputs, (str, bytes, dict)):
        return True
    try:
        return len(inputs) > 0 and not _is_pair(inputs[0])
    except (TypeError, KeyError, IndexError):
        return False


def as_pairs(inputs: Any, single: bool) -> list[Any]:
    """The pairs as a list.

    Raises:
        InvalidInput: something is not two inputs.
    """
    if single:
        pairs = [inputs.tolist() if isinstance(inputs, np.ndarray) else inputs]
    else:
        pairs = inputs.tolist() if isinstance(inputs, np.ndarray) else list(inputs)
    for position, pair in enumerate(pairs):
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and all(part is not None for part in pair):
            continue
        if isinstance(pair, dict):
            continue  # several kinds of input in one
        shown = repr(pair)
        shown = shown if len(shown) <= 80 else shown[:77] + "…"
        raise InvalidInput(
            f"input {position} is {shown}, which is not a pair; pass (query, document) pairs, "
            "e.g. [('a question', 'a passage'), …]"
        )
    return pairs


def distinct(pairs: list[Any]) -> tuple[list[Any], list[int] | None]:
    """Each pair of texts once, and the place of every pair among them; None if all differ or are no texts."""
    places: dict[tuple[Any, ...], int] = {}
    for pair in pairs:
        if isinstance(pair, dict) or not all(isinstance(part, str) for part in pair):
            return pairs, None
        places.setdefault(tuple(pair), len(places))
    if len(places) == len(pairs):
        return pairs, None
    return [list(pair) for pair in places], [places[tuple(pair)] for pair in pairs]


def collect(values: Any, as_numpy: bool, as_tensor: bool, device: torch.device) -> Any:
    """Scores in the form that was asked for: an array, a tensor, or a list with one entry per pair."""
    if len(values) == 0:
        empty = torch.empty(0, device=device)
        return empty if as_tensor else empty.cpu().numpy() if as_numpy else []
    if as_tensor:
        return values
    return tensor_to_numpy(values) if as_numpy else list(values)


def check_activation(activation: Any) -> None:
    """Refuse what cannot be applied to logits; None applies nothing.

    Raises:
        InvalidOption: it is no function, or the class of one.
    """
    if isinstance(activation, type):
        raise InvalidOption(
            f"activation_fn is the class {activation.__name__}; pass an object of it: {activation.__name__}()"
        )
    if activation is not None and not callable(activation):
        raise InvalidOption(
            f"activation_fn is {activation!r}; pass a function of a tensor, e.g. torch.nn.Sigmoid(), or "
            "torch.nn.Identity() for the logits"
        )


def checked_labels(labels: Any) -> int:
    """A number of labels that a classifier can have.

    Raises:
        InvalidOption: it is none.
    """
    try:
        count = operator.index(labels)
    except TypeError:
        count = 0
    if count < 1:
        raise InvalidOption(
            f"num_labels is {labels!r}; use 1 for a score, the number of classes, or None for the model's own"
        )
    return count


def check_batch_size(batch_size: int) -> None:
    """Refuse a batch size without meaning."""
    if batch_size < 1:
        raise InvalidOption(f"batch_size is {batch_size}; use 1 or more")


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple, np.ndarray)) or type(item).__name__ == "Column"
