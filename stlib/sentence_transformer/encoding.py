"""What one call of ``encode`` asks for: checked, made of each batch, and brought into the form wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from stlib.base.inference import check_encode_keywords
from stlib.errors import InvalidOption
from stlib.util.quantized_codes import PRECISIONS, quantize_embeddings
from stlib.util.tensor import batch_to_device, normalize_embeddings, tensor_to_numpy, truncate_embeddings

if TYPE_CHECKING:
    from stlib.sentence_transformer.encode_methods import EncodingModel

SENTENCE_EMBEDDING = "sentence_embedding"
TOKEN_EMBEDDINGS = "token_embeddings"  # noqa: S105 - the name of a feature, no secret


@dataclass(frozen=True)
class EncodeOptions:
    """What every batch of one call of ``encode`` shares."""

    prompt: str | None = None
    output_value: str | None = SENTENCE_EMBEDDING
    normalize: bool = False
    truncate_dim: int | None = None
    to_cpu: bool = True
    keywords: dict[str, Any] = field(default_factory=dict)

    @torch.inference_mode()
    def run(self, model: EncodingModel, features: dict[str, Any], n: int) -> Any:
        """One forward pass over the features of n inputs: a tensor ``[n, d]`` of sentence embeddings, or a
        list with what was asked for per input.
        """
        output = model(batch_to_device(features, model.device), **self.keywords)
        if self.truncate_dim is not None and SENTENCE_EMBEDDING in output:
            output[SENTENCE_EMBEDDING] = truncate_embeddings(output[SENTENCE_EMBEDDING], self.truncate_dim)
        if self.output_value is None:
            return [_row_of(output, i, n) for i in range(n)]
        if self.output_value == TOKEN_EMBEDDINGS:
            return _without_padding(_value(output, TOKEN_EMBEDDINGS), output.get("attention_mask"))
        values = _value(output, self.output_value)
        if self.output_value != SENTENCE_EMBEDDING:
            return list(values)
        if self.normalize:
            values = normalize_embeddings(values)
        return values.cpu() if self.to_cpu else values


def check_options(
    batch_size: int,
    precision: str | None,
    output_value: str | None,
    keywords: dict[str, Any],
    taken: list[str],
) -> None:
    """Refuse what has no meaning, before anything is computed.

    Raises:
        InvalidOption: a value is not allowed; UnknownKeyword for keywords that the model does not take.
    """
    if batch_size < 1:
        raise InvalidOption(f"batch_size is {batch_size}; use 1 or more")
    if precision is not None and precision not in PRECISIONS:
        raise InvalidOption(f"precision {precision!r} is unknown; use one of: {', '.join(PRECISIONS)}")
    if precision not in (None, "float32") and output_value not in (SENTENCE_EMBEDDING, TOKEN_EMBEDDINGS):
        raise InvalidOption(
            f"precision={precision!r} needs an output_value of embeddings, not {output_value!r}"
        )
    check_encode_keywords(keywords, taken)


def collect(values: Tensor | list[Any], precision: str | None, as_numpy: bool, as_tensor: bool) -> Any:
    """Results in the form that was asked for: an array, a tensor, or a list with one entry per input."""
    if len(values) == 0:
        return torch.empty(0) if as_tensor else np.array([]) if as_numpy else []
    quantised = precision not in (None, "float32")
    result: Any = quantize_embeddings(values, precision) if quantised else values  # type: ignore[arg-type]
    if as_tensor:
        return torch.as_tensor(result)
    if as_numpy:
        return tensor_to_numpy(result) if isinstance(result, Tensor) else result
    return list(torch.from_numpy(result) if isinstance(result, np.ndarray) else result)


def _value(output: dict[str, Any], name: str) -> Any:
    if name not in output:
        there = ", ".join(sorted(key for key, value in output.items() if isinstance(value, Tensor)))
        raise InvalidOption(
            f"output_value={name!r} is not among what this model computes; use one of: {there}, or None"
        )
    return output[name]


def _row_of(output: dict[str, Any], i: int, n: int) -> dict[str, Any]:
    """Entry i of every tensor that has one per input; other values as they are."""
    return {
        name: value[i] if isinstance(value, Tensor) and value.ndim > 0 and len(value) == n else value
        for name, value in output.items()
    }


def _without_padding(tokens: Tensor, mask: Tensor | None) -> list[Tensor]:
    """Token embeddings ``[tokens, d]`` of each input, up to its last attended token."""
    if mask is None:
        return list(tokens)
    ends = mask.shape[1] - mask.int().flip(1).argmax(dim=1)
    # An input without any token keeps its first slot, so that no result is empty.
    ends = torch.where(mask.any(dim=1), ends, 1)
    return [row[:end] for row, end in zip(tokens, ends.tolist(), strict=True)]
