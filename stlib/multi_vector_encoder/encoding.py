"""What one call of ``MultiVectorEncoder.encode`` asks for, and what is made of each batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stlib.base.inference import check_encode_keywords
from stlib.errors import InvalidOption, UnknownKeyword
from stlib.multi_vector_encoder.modules.token_pooling import BaseTokenPooling
from stlib.util.tensor import batch_to_device, normalize_embeddings

if TYPE_CHECKING:
    from stlib.base.inference import InferenceModel

logger = logging.getLogger(__name__)

TOKEN_EMBEDDINGS = "token_embeddings"  # noqa: S105 - the name of a feature, no secret


@dataclass(frozen=True)
class TokenOptions:
    """What every batch of one call of ``encode`` shares."""

    prompt: str | None = None
    output_value: str | None = TOKEN_EMBEDDINGS
    normalize: bool = False
    token_pooling: BaseTokenPooling | None = None
    to_cpu: bool = False
    keywords: dict[str, Any] = field(default_factory=dict)

    @torch.inference_mode()
    def run(self, model: InferenceModel, features: dict[str, Any], n: int) -> list[Any]:
        """One forward pass over the features of n inputs: token vectors ``[tokens, d]`` of each, or all
        features of each.
        """
        output = model(batch_to_device(features, model.device), **self.keywords)
        task = self.keywords.get("task")
        if self.output_value is None:
            if self.token_pooling is not None:
                output = self.token_pooling(output, task=task)
            return [_row_of(output, i, n) for i in range(n)]
        rows = rows_that_count(output[TOKEN_EMBEDDINGS], output["attention_mask"])
        if self.normalize:
            rows = [normalize_embeddings(row) for row in rows]
        if self.token_pooling is not None:
            rows = self.token_pooling.pool(rows, task=task)
        return [row.cpu() for row in rows] if self.to_cpu else rows


def rows_that_count(tokens: Tensor, mask: Tensor) -> list[Tensor]:
    """Of padded token vectors ``[n, tokens, d]`` those in the mask, ``[tokens, d]`` for each text."""
    kept = mask.bool()
    counts = kept.sum(dim=1).tolist()
    # Copies of their own, so that one text does not keep a whole batch in memory.
    return [row.clone() for row in tokens[kept].split(counts)]


def check_options(
    batch_size: int, output_value: str | None, keywords: dict[str, Any], taken: list[str]
) -> None:
    """Refuse what has no meaning, before anything is computed.

    Raises:
        InvalidOption: a value is not allowed; UnknownKeyword for keywords that the model does not take.
    """
    if batch_size < 1:
        raise InvalidOption(f"batch_size is {batch_size}; use 1 or more")
    if output_value not in (TOKEN_EMBEDDINGS, None):
        raise InvalidOption(
            f"output_value is {output_value!r}; use {TOKEN_EMBEDDINGS!r}, or None for all features of each "
            "input"
        )
    if "convert_to_tensor" in keywords:
        raise UnknownKeyword(
            "encode of a model with a vector per token has no convert_to_tensor: texts differ in their "
            "number of vectors, so that there is nothing to stack. It returns a list of tensors; leave it "
            "out, or pass convert_to_numpy=True for arrays"
        )
    check_encode_keywords(keywords, taken)


def tell_pooled_twice(model: InferenceModel, pooling: BaseTokenPooling | None, task: str | None) -> None:
    """Say it when a call pools what the model's own pooling has pooled."""
    own = any(isinstance(module, BaseTokenPooling) for module in model)
    if pooling is not None and own and pooling.applies_to(task):
        logger.warning(
            "the model pools tokens itself, and token_pooling pools its result once more; leave it out if "
            "that is not meant"
        )


def _row_of(output: dict[str, Any], i: int, n: int) -> dict[str, Any]:
    """Entry i of every tensor that has one per input; other values as they are."""
    return {
        name: value[i] if isinstance(value, Tensor) and value.ndim > 0 and len(value) == n else value
        for name, value in output.items()
    }
