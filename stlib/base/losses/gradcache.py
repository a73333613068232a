"""Losses over large batches in the memory of small ones, by caching gradients of the embeddings.

Source: Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
arXiv:2101.06983.

1. Embed the batch in mini-batches without a graph, noting the state of the random generators before each.
2. Compute the loss from all embeddings and go back as far as these: their gradients are the cache.
3. When the loss is propagated back, embed each mini-batch again from the noted state, with a graph, and go on
   from its cached gradients.

Activations of one mini-batch are alive at a time, whatever the size of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from stlib.base.losses.feature_rows import Features, Ranges, row_ranges, take_rows
from stlib.base.losses.random_state import RandContext
from stlib.base.losses.replay import replay_backward
from stlib.base.modules.router import Router
from stlib.errors import InvalidInput, InvalidOption

__all__ = [
    "CachedLossMixin",
    "Embedded",
    "RandContext",
    "has_static_embedding_input",
    "refuse_static_embedding",
    "uses_gradient_cache",
]


def uses_gradient_cache(loss: Any) -> bool:
    """Whether a loss embeds its inputs again when it is propagated back.

    A wrapper that changes the model during the forward pass cannot reach that second pass.
    """
    return bool(getattr(loss, "uses_gradient_cache", False))


def has_static_embedding_input(model: Any) -> bool:
    """Whether a model, or a route of its router, starts with a ``StaticEmbedding``.

    Its features are one row of tokens for all inputs, which has no batch dimension to cut mini-batches from.
    """
    first = getattr(model, "_orig_mod", model)[0]
    routes: Any = first.sub_modules.values() if isinstance(first, Router) else [[first]]
    return not all(getattr(route[0], "features_in_rows", True) for route in routes)


def refuse_static_embedding(model: Any, loss: str, instead: str) -> None:
    """Refuse a model whose inputs cannot be cut into mini-batches.

    Raises:
        InvalidOption: see :func:`has_static_embedding_input`.
    """
    if has_static_embedding_input(model):
        raise InvalidOption(
            f"{loss} cuts batches into mini-batches, and inputs of a StaticEmbedding have no batch dimension "
            f"to cut; use {instead}"
        )


@dataclass
class Embedded:
    """What the first pass over a batch leaves: lists per column and mini-batch."""

    columns: list[Features]
    ranges: list[Ranges]
    reps: list[list[Tensor]]
    """Embeddings ``[mini-batch, d]``, leaves that collect the gradients of the loss."""
    extras: list[list[tuple[Any, ...]]]
    """What ``embed_minibatch`` returned between embeddings and random state."""
    random_states: list[list[RandContext | None]]

    def gradients(self, loss: str) -> list[list[Tensor]]:
        """The cache.

        Raises:
            InvalidInput: the loss took no notice of a column.
        """
        unused = [str(i) for i, column in enumerate(self.reps) if any(rep.grad is None for rep in column)]
        if unused:
            raise InvalidInput(
                f"{loss} made no use of the embeddings of column {', '.join(unused)} (counted from 0); "
                "remove it from the dataset, as every column is embedded twice"
            )
        return [[rep.grad for rep in column if rep.grad is not None] for column in self.reps]


class CachedLossMixin:
    """The passes of gradient caching, for an ``nn.Module`` that has a ``model`` and :meth:`calculate_loss`.

    A loss calls :meth:`forward_cached` from its ``forward``.
    """

    model: Any
    mini_batch_size: int
    mini_batch_num_tokens: int | None = None
    show_progress_bar: bool = False
    uses_gradient_cache: bool = True

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Any = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss of the whole batch from embeddings per column and mini-batch.

        With ``with_backward`` it is propagated back to the embeddings, best in parts so that the graph of one
        part is alive at a time, and returned without a graph.
        """
        raise NotImplementedError

    def forward_cached(self, sentence_features: Iterable[Features], labels: Any = None) -> Tensor:
        """The loss, which embeds again when it is propagated back; with gradients off, the loss alone."""
        return self.connect(self.embed_first(sentence_features), labels)

    def embed_first(self, sentence_features: Iterable[Features]) -> Embedded:
        """All columns without a graph."""
        columns = list(sentence_features)
        # The second pass needs the same bounds, and modules may change a mask in place until then.
        ranges = [row_ranges(column, self.mini_batch_size, self.mini_batch_num_tokens) for column in columns]
        passed = [
            list(
                self.embed_minibatch_iter(
                    column, with_grad=False, copy_random_state=torch.is_grad_enabled(), ranges=bounds
                )
            )
            for column, bounds in zip(columns, ranges, strict=True)
        ]
        return Embedded(
            columns,
            ranges,
            reps=[[_leaf(reps) for reps, *_ in column] for column in passed],
            extras=[[tuple(extras) for _, *extras, _ in column] for column in passed],
            random_states=[[state for *_, state in column] for column in passed],
        )

    def connect(self, embedded: Embedded, labels: Any = None) -> Tensor:
        """The loss of embeddings, connected to the parameters of the model by a second pass."""
        if not torch.is_grad_enabled():
            return self.calculate_loss(embedded.reps, labels)
        loss = self.calculate_loss(embedded.reps, labels, with_backward=True).detach().requires_grad_()
        cache = embedded.gradients(type(self).__name__)

        def second_pass(grad_output: Tensor) -> None:
            replay_backward(
                self, embedded.columns, embedded.ranges, embedded.random_states, cache, grad_output
            )

        loss.register_hook(second_pass)
        return loss

    def embed_minibatch(
        self,
        sentence_feature: Features,
        begin: int,
        end: int,
        with_grad: bool,
        copy_random_state: bool,
        random_state: RandContext | None = None,
    ) -> tuple[Any, ...]:
        """Embeddings of inputs ``begin`` to ``end`` of a column, and the random state before, if asked for.

        Args:
            random_state: draw random numbers from there on.
        """
        part = take_rows(sentence_feature, begin, end)
        with nullcontext() if random_state is None else random_state:
            state = RandContext(*part.values()) if copy_random_state else None
            with torch.set_grad_enabled(with_grad):
                return self.model(part)["sentence_embedding"], state

    def embed_minibatch_iter(
        self,
        sentence_feature: Features,
        with_grad: bool,
        copy_random_state: bool,
        random_states: list[Any] | None = None,
        ranges: Ranges | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """:meth:`embed_minibatch` of every mini-batch of a column."""
        if ranges is None:
            ranges = row_ranges(sentence_feature, self.mini_batch_size, self.mini_batch_num_tokens)
        progress = tqdm(ranges, desc="Embed mini-batches", disable=not self.show_progress_bar)
        for i, (begin, end) in enumerate(progress):
            yield self.embed_minibatch(
                sentence_feature=sentence_feature,
                begin=begin,
                end=end,
                with_grad=with_grad,
                copy_random_state=copy_random_state,
                random_state=random_states[i] if random_states is not None else None,
            )


def _leaf(reps: Tensor) -> Tensor:
    return reps.detach().requires_grad_(torch.is_grad_enabled())
