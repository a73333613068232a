"""What one call of ``predict`` asks for: the pairs it was given, and scores made of each batch."""

from __future__ import annotations

import difflib
import inspect
import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.errors import InvalidInput, InvalidOption, ModelConfigError, UnknownKeyword
from stlib.util.tensor import batch_to_device, tensor_to_numpy

# Keywords that modules of this package take for preparing inputs
_KEYWORDS = ("task", "processing_kwargs", "max_length")


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
        scores = score_features(model, batch_to_device(features, model.device), **self.keywords)
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


def score_features(model: Any, features: dict[str, Any], **keywords: Any) -> Tensor:
    """Logits ``[n, labels]`` of n pairs from their features on the model's device.

    Raises:
        ModelConfigError: the model computes none.
    """
    output = model(features, **keywords)
    if "scores" not in output:
        raise ModelConfigError(
            "the modules of this model compute no 'scores'; a reranker needs a Transformer with "
            "transformer_task='sequence-classification', or a last module that writes them"
        )
    scores: Tensor = output["scores"]
    return scores


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
        pairs = inputs.tolist() if isinstance(inputs, np.ndarray) else [_without_array(i) for i in inputs]
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


def check_labels(labels: Any) -> int:
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


def check_keywords(model: Any, keywords: Collection[str]) -> None:
    """Refuse keywords of ``predict`` that no module takes, such as misspelt ones.

    Raises:
        UnknownKeyword: there is one.
    """
    if not keywords:
        return
    first = model[0]
    prepared_by = inspect.signature(getattr(first, "preprocess", None) or first.tokenize).parameters
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in prepared_by.values())
    if takes_any and not type(first).__module__.startswith("stlib."):
        return  # what the author of a module does with them is not known
    taken = {*model.get_model_kwargs(), *prepared_by, *_KEYWORDS} - {"inputs", "texts", "prompt", "kwargs"}
    unknown = sorted(set(keywords) - taken)
    if unknown:
        options = [name for name in inspect.signature(type(model).predict).parameters if name != "self"]
        near = difflib.get_close_matches(unknown[0], [*options, *taken], 1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UnknownKeyword(
            f"predict got keywords that it does not take: {', '.join(unknown)}; {hint}"
            f"Beside its own arguments it takes, for the modules of this model: {', '.join(sorted(taken))}"
        )


def _without_array(item: Any) -> Any:
    """A pair as a list where it came as an array or a column of a data set."""
    if isinstance(item, np.ndarray):
        return item.tolist()
    return list(item) if _is_column(item) else item


def _is_pair(item: Any) -> bool:
    return isinstance(item, (list, tuple, np.ndarray)) or _is_column(item)


def _is_column(item: Any) -> bool:
    return type(item).__name__ == "Column"
