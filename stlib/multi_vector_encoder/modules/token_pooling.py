"""Fewer token vectors for each text: less to store, at some cost in quality.

A pooling can be a module of a model, an argument of one call of ``encode``, or used by itself on vectors that
are there (:meth:`BaseTokenPooling.pool`). Each of these pools once more.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stlib.base.modules.module import Module
from stlib.errors import InvalidInput, InvalidOption, UnsupportedOption
from stlib.multi_vector_encoder.modules.multi_vector_mask import DOCUMENT, task_names
from stlib.util.clusters import join_rows
from stlib.util.tensor import normalize_embeddings

_SIDES = ("left", "right")


class BaseTokenPooling(Module):
    """The base of poolings; a class of its own defines :meth:`pool_one`, and ``config_keys`` to be saved.

    Args:
        tasks: tasks whose inputs are pooled, one name or several; inputs without a task count as documents.
            Default: documents, which are what is stored.
    """

    without_memory: ClassVar[bool] = True
    config_keys: ClassVar[list[str]] = ["tasks"]
    forward_kwargs: ClassVar[set[str]] = {"task"}

    def __init__(self, *, tasks: str | Sequence[str] | None = None) -> None:
        super().__init__()
        self.tasks = task_names(tasks)

    @abstractmethod
    def pool_one(self, embedding: Tensor, **kwargs: Any) -> Tensor:
        """The token vectors ``[tokens, d]`` of one text as fewer, ``[fewer, d]``."""

    def applies_to(self, task: str | None) -> bool:
        """Whether inputs of a task are pooled."""
        return (task or DOCUMENT) in self.tasks

    def forward(self, features: dict[str, Any], task: str | None = None, **kwargs: Any) -> dict[str, Any]:
        tokens: Tensor = features["token_embeddings"]
        if not self.applies_to(task) or len(tokens) == 0:
            return features
        mask = features["attention_mask"].bool()
        pooled = [self.pool_one(rows[kept]) for rows, kept in zip(tokens, mask, strict=True)]
        features["token_embeddings"] = pad_sequence(pooled, batch_first=True).to(tokens.device)
        lengths = torch.tensor([len(rows) for rows in pooled], device=tokens.device)
        steps = torch.arange(features["token_embeddings"].shape[1], device=tokens.device)
        features["attention_mask"] = steps < lengths.unsqueeze(1)
        return features

    def pool(
        self,
        embeddings: Any,
        *,
        task: str | None = None,
        attention_mask: Tensor | None = None,
        padding_side: str = "right",
    ) -> Any:
        """Pool token vectors that are there.

        Args:
            embeddings: a list of ``[tokens, d]``, or a padded ``[n, tokens, d]``.
            task: what they were encoded as; vectors of other tasks than ``tasks`` are returned as they are.
            attention_mask: ``[n, tokens]``, which tokens of a padded tensor count. Without it, rows of zeros
                on ``padding_side`` are padding.
            padding_side: ``"left"`` or ``"right"``, also for the result of a padded tensor.

        Returns:
            A list for a list, and a padded tensor for a padded tensor.

        Raises:
            InvalidInput: ``embeddings`` have another form.
        """
        if not self.applies_to(task):
            return embeddings
        if isinstance(embeddings, list):
            if embeddings and embeddings[0].ndim != 2:
                raise InvalidInput(
                    f"the list holds a tensor of shape {tuple(embeddings[0].shape)}; give [tokens, d] for "
                    "each text"
                )
            return [self.pool_one(rows) for rows in embeddings]
        if not isinstance(embeddings, Tensor) or embeddings.ndim != 3:
            shape = tuple(getattr(embeddings, "shape", ()))
            raise InvalidInput(
                f"embeddings came as {type(embeddings).__name__} of shape {shape}; give a list of "
                "[tokens, d] or a padded [n, tokens, d]"
            )
        if padding_side not in _SIDES:
            raise InvalidOption(f"padding_side is {padding_side!r}; use one of {_SIDES}")
        if len(embeddings) == 0:
            return embeddings.new_zeros(0, 0, embeddings.shape[-1])
        pooled = [self.pool_one(rows) for rows in _without_padding(embeddings, attention_mask, padding_side)]
        return pad_sequence(pooled, batch_first=True, padding_side=padding_side)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        self.save_config(output_path)


class HierarchicalTokenPooling(BaseTokenPooling):
    """Join tokens that are alike: Ward clusters by cosine distance, each replaced by its mean.

    Source: Clavié, Chaffin and Adams, "Reducing the Footprint of Multi-Vector Retrieval with Minimal
        Performance Impact via Token Pooling", arXiv:2409.14683.

    Args:
        pool_factor: tokens that become one, on average: ``tokens // pool_factor`` clusters are made.
            Fractions are fine; 1 joins nothing.
        num_protected_tokens: first tokens that stay by themselves, as ``[CLS]``.
        normalize_embeddings: scale all results to unit length. Folders saved before there was this option
            load with False, as what was indexed with them.
        tasks: as for :class:`BaseTokenPooling`.
    """

    config_keys: ClassVar[list[str]] = [
        "pool_factor",
        "num_protected_tokens",
        "normalize_embeddings",
        "tasks",
    ]

    def __init__(
        self,
        pool_factor: float = 1.0,
        *,
        num_protected_tokens: int = 1,
        normalize_embeddings: bool = True,
        tasks: str | Sequence[str] | None = None,
    ) -> None:
        super().__init__(tasks=tasks)
        if not pool_factor >= 1:
            raise InvalidOption(f"pool_factor is {pool_factor}; use 1 or more, e.g. 2 to halve the tokens")
        if num_protected_tokens < 0:
            raise InvalidOption(f"num_protected_tokens is {num_protected_tokens}; use 0 or more")
        self.pool_factor = pool_factor
        self.num_protected_tokens = num_protected_tokens
        self.normalize_embeddings = normalize_embeddings

    @classmethod
    def load_config(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        config = super().load_config(*args, **kwargs)
        return {"normalize_embeddings": False, **config} if config else config

    def forward(self, features: dict[str, Any], task: str | None = None, **kwargs: Any) -> dict[str, Any]:
        if self.pool_factor > 1:
            return super().forward(features, task)
        if self.normalize_embeddings and self.applies_to(task):
            features["token_embeddings"] = _to_unit_length(features["token_embeddings"])
        return features

    def pool_one(self, embedding: Tensor, **kwargs: Any) -> Tensor:
        first, rest = embedding[: self.num_protected_tokens], embedding[self.num_protected_tokens :]
        clusters = max(int(len(rest) // self.pool_factor), 1)
        if clusters < len(rest):
            embedding = torch.cat([first, join_rows(rest, clusters)])
        return _to_unit_length(embedding) if self.normalize_embeddings else embedding


class LambdaTokenPooling(BaseTokenPooling):
    """Any function as a pooling. It cannot be saved, nor sent to other processes if it is a lambda.

    Args:
        pool_fn: from ``[tokens, d]`` to ``[fewer, d]``, called for each text.
        tasks: as for :class:`BaseTokenPooling`.
    """

    def __init__(
        self, pool_fn: Callable[[Tensor], Tensor], *, tasks: str | Sequence[str] | None = None
    ) -> None:
        super().__init__(tasks=tasks)
        self.pool_fn = pool_fn

    def pool_one(self, embedding: Tensor, **kwargs: Any) -> Tensor:
        return self.pool_fn(embedding)

    def save(self, output_path: str, *args: Any, safe_serialization: bool = True, **kwargs: Any) -> None:
        """
        Raises:
            UnsupportedOption: always; it is also a NotImplementedError.
        """
        raise _UnsavedFunction(
            "LambdaTokenPooling holds a function, which cannot be saved; pass it to encode(token_pooling=…) "
            "instead, or write a class with BaseTokenPooling as its base"
        )


class _UnsavedFunction(UnsupportedOption, NotImplementedError):
    """A module that cannot be written to a folder."""


def _to_unit_length(vectors: Tensor) -> Tensor:
    """Rows of unit length, computed in float32 at least."""
    half = vectors.dtype in (torch.float16, torch.bfloat16)
    return normalize_embeddings(vectors.float() if half else vectors).to(vectors.dtype)


def _without_padding(padded: Tensor, mask: Tensor | None, side: str) -> list[Tensor]:
    if mask is not None:
        return [rows[kept] for rows, kept in zip(padded, mask.bool(), strict=True)]
    result = []
    for rows in padded:
        there = rows.any(dim=-1).nonzero().flatten().tolist()
        if not there:
            result.append(rows[:0])
        else:
            result.append(rows[: there[-1] + 1] if side == "right" else rows[there[0] :])
    return result
