"""Positives against the rows of a large batch, embedded in mini-batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from stlib.base.losses.checks import check_model
from stlib.base.losses.citations import GRADIENT_CACHE
from stlib.base.losses.feature_rows import check_mini_batches
from stlib.base.losses.gradcache import CachedLossMixin, refuse_static_embedding
from stlib.errors import InvalidInput
from stlib.sentence_transformer.losses.multiple_negatives_ranking import (
    Direction,
    HardnessMode,
    MultipleNegativesRankingLoss,
    PartitionMode,
)
from stlib.util.similarity import cos_sim


class CachedMultipleNegativesRankingLoss(CachedLossMixin, MultipleNegativesRankingLoss):
    """``MultipleNegativesRankingLoss`` in the memory of a mini-batch, for batches of thousands of rows.

    Value and gradients are the same; all inputs are embedded twice, which takes more time. How
    it works: :mod:`stlib.base.losses.gradcache`.

    Args:
        model: the model to train. It cannot start with a ``StaticEmbedding``, which needs no caching anyway.
        scale, similarity_fct, gather_across_devices, directions, partition_mode, hardness_mode,
            hardness_strength: see ``MultipleNegativesRankingLoss``.
        mini_batch_size: inputs embedded at a time, and anchors scored at a time. It decides on memory and
            speed, not on the result.
        mini_batch_num_tokens: tokens embedded at a time, instead: more short inputs, fewer long ones.
        show_progress_bar: over mini-batches.

    Raises:
        InvalidOption: an option has no meaning, or the model starts with a ``StaticEmbedding``.

    References:
        - Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
          arXiv:2101.06983

    Inputs:
        ====================================  ======
        Columns                               Labels
        ====================================  ======
        (anchor, positive)                    none
        (anchor, positive, negative)          none
        (anchor, positive, negative_1, …)     none
        ====================================  ======

        As with the plain form, batches should not hold a text twice.

    Relations:
        - ``MultipleNegativesRankingLoss`` is the plain form.
        - ``CachedGISTEmbedLoss`` leaves out negatives that a guide takes for positives.

    Example::

        loss = losses.CachedMultipleNegativesRankingLoss(model, mini_batch_size=64)
        args = SentenceTransformerTrainingArguments("out", per_device_train_batch_size=4096)
        SentenceTransformerTrainer(model=model, args=args, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
        directions: Sequence[Direction] = ("query_to_doc",),
        partition_mode: PartitionMode = "joint",
        show_progress_bar: bool = False,
        hardness_mode: HardnessMode | None = None,
        hardness_strength: float = 0.0,
    ) -> None:
        check_model(self, model)
        refuse_static_embedding(model, type(self).__name__, "MultipleNegativesRankingLoss")
        check_mini_batches(mini_batch_size, mini_batch_num_tokens)
        super().__init__(
            model,
            scale=scale,
            similarity_fct=similarity_fct,
            gather_across_devices=gather_across_devices,
            directions=directions,
            partition_mode=partition_mode,
            hardness_mode=hardness_mode,
            hardness_strength=hardness_strength,
        )
        self.mini_batch_size = mini_batch_size
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.show_progress_bar = show_progress_bar

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        columns = list(sentence_features)
        if len(columns) < 2:  # before any of them is embedded
            raise InvalidInput(
                f"{type(self).__name__} takes columns (anchor, positive, …), and got {len(columns)}: "
                "add a positive"
            )
        return self.forward_cached(columns, labels)

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from embeddings per column and mini-batch; see :class:`CachedLossMixin`."""
        return self._loss_in_parts(
            [torch.cat(column) for column in reps],
            step=self.mini_batch_size,
            with_backward=with_backward,
            show_progress_bar=self.show_progress_bar,
        )

    def get_config_dict(self) -> dict[str, Any]:
        return {
            **super().get_config_dict(),
            "mini_batch_size": self.mini_batch_size,
            "mini_batch_num_tokens": self.mini_batch_num_tokens,
        }

    @property
    def citation(self) -> str:
        return GRADIENT_CACHE
