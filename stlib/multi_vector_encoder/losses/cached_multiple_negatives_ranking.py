"""The positive of a query against the documents of a large batch, embedded in mini-batches."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from stlib.base.losses.checks import check_model, require_columns
from stlib.base.losses.citations import GRADIENT_CACHE
from stlib.base.losses.feature_rows import Features, check_mini_batches, take_rows
from stlib.base.losses.gradcache import CachedLossMixin, Embedded, RandContext
from stlib.multi_vector_encoder.losses.columns import Scoring, Tokens, cat_rows, embed
from stlib.multi_vector_encoder.losses.multiple_negatives_ranking import (
    MultiVectorMultipleNegativesRankingLoss,
)

Chunks = list[list[Tensor]]
"""Per column and mini-batch."""


class CachedMultiVectorMultipleNegativesRankingLoss(CachedLossMixin, MultiVectorMultipleNegativesRankingLoss):
    """``MultiVectorMultipleNegativesRankingLoss`` in the memory of a mini-batch, for large batches.

    Value and gradients are the same; all inputs are embedded twice, which takes more time. How it works:
    :mod:`stlib.base.losses.gradcache`.

    Args:
        model: the ``MultiVectorEncoder`` to train.
        scale, similarity_fct, gather_across_devices: see ``MultiVectorMultipleNegativesRankingLoss``.
        mini_batch_size: inputs embedded at a time. It decides on memory and speed, not on the result.
        mini_batch_num_tokens: tokens embedded at a time, instead: more short inputs, fewer long ones.
        score_mini_batch_size: queries scored at a time; default: ``mini_batch_size``.
        show_progress_bar: over mini-batches.

    Raises:
        InvalidOption: an option has no meaning.
        InvalidInput: fewer than two columns.

    References:
        - Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
          arXiv:2101.06983

    Inputs:
        ====================================  ======
        Columns                               Labels
        ====================================  ======
        (query, positive)                     none
        (query, positive, negative)           none
        (query, positive, negative_1, …)      none
        ====================================  ======

        As with the plain form, batches should not hold a text twice.

    Relations:
        - :class:`MultiVectorMultipleNegativesRankingLoss` is the plain form.

    Example::

        loss = losses.CachedMultiVectorMultipleNegativesRankingLoss(model, mini_batch_size=16)
        args = MultiVectorEncoderTrainingArguments("out", per_device_train_batch_size=512)
        MultiVectorEncoderTrainer(model=model, args=args, train_dataset=train_dataset, loss=loss).train()
    """

    mini_batch_size: int

    def __init__(
        self,
        model: Any,
        *,
        scale: float = 1.0,
        similarity_fct: Scoring | None = None,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        score_mini_batch_size: int | None = None,
        gather_across_devices: bool = False,
        show_progress_bar: bool = False,
    ) -> None:
        check_model(self, model)
        check_mini_batches(mini_batch_size, mini_batch_num_tokens)
        super().__init__(
            model,
            scale=scale,
            similarity_fct=similarity_fct,
            mini_batch_size=mini_batch_size,
            score_mini_batch_size=mini_batch_size if score_mini_batch_size is None else score_mini_batch_size,
            gather_across_devices=gather_across_devices,
        )
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.show_progress_bar = show_progress_bar

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        columns = [dict(features) for features in sentence_features]
        # before any of them is embedded
        require_columns(self, columns, 2, "a query, its positive and any negatives")
        for place, column in enumerate(columns):
            column.setdefault("task", "document" if place else "query")
        embedded = self.embed_first(columns)
        return self.connect(embedded, [[mask for (mask,) in column] for column in embedded.extras])

    def embed_minibatch(
        self,
        sentence_feature: Features,
        begin: int,
        end: int,
        with_grad: bool,
        copy_random_state: bool,
        random_state: RandContext | None = None,
    ) -> tuple[Any, ...]:
        """Token vectors of inputs ``begin`` to ``end`` of a column, which of them count, and the random state
        before, if asked for.
        """
        part = take_rows(sentence_feature, begin, end)
        with nullcontext() if random_state is None else random_state:
            state = RandContext(*part.values()) if copy_random_state else None
            with torch.set_grad_enabled(with_grad):
                return *embed(self.model, part, part.get("task", "document")), state

    def calculate_loss(
        self, reps: Chunks, masks_chunks: Chunks | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from token vectors and masks per column and mini-batch; see :class:`CachedLossMixin`."""
        masks = masks_chunks or []
        queries, *documents = [
            cat_rows([Tokens(*chunk) for chunk in zip(*column, strict=True)])
            for column in zip(reps, masks, strict=True)
        ]
        progress = self.show_progress_bar
        return self.loss_of(queries, documents, with_backward=with_backward, show_progress_bar=progress)

    def calculate_loss_and_cache_gradients(
        self, reps: Chunks, masks_chunks: Chunks
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """The loss, and its gradients with respect to each of ``reps``.

        Raises:
            InvalidInput: the loss took no notice of a column.
        """
        loss = self.calculate_loss(reps, masks_chunks, with_backward=True).detach().requires_grad_()
        return loss, Embedded([], [], reps, [], []).gradients(type(self).__name__)

    def get_config_dict(self) -> dict[str, Any]:
        plain = super().get_config_dict()
        return {
            **{key: plain[key] for key in ("scale", "similarity_fct", "mini_batch_size")},
            "mini_batch_num_tokens": self.mini_batch_num_tokens,
            **{key: plain[key] for key in ("score_mini_batch_size", "gather_across_devices")},
        }

    @property
    def citation(self) -> str:
        return GRADIENT_CACHE
