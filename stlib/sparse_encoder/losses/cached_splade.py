"""SPLADE's loss over large batches in the memory of small ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.feature_rows import check_mini_batches
from stlib.base.losses.gradcache import CachedLossMixin, refuse_static_embedding
from stlib.sparse_encoder.losses.inner import join_rows, sum_of
from stlib.sparse_encoder.losses.splade import SpladeLoss


class CachedSpladeLoss(CachedLossMixin, SpladeLoss):
    """:class:`SpladeLoss` in the memory of a mini-batch.

    Value and gradients are the same; all inputs are embedded twice. The inner loss and the penalties are
    computed over the whole batch at once, so embeddings of the whole batch are alive: ``n`` times the size of
    the vocabulary. How it works: :mod:`stlib.base.losses.gradcache`.

    Args:
        model: the sparse model to train.
        loss: a loss with ``compute_loss_from_embeddings(embeddings, labels)``.
        document_regularizer_weight, query_regularizer_weight, document_regularizer, query_regularizer,
            document_regularizer_threshold, query_regularizer_threshold, use_document_regularizer_only: see
            :class:`SpladeLoss`.
        mini_batch_size: inputs embedded at a time. It decides on memory and speed, not on the result.
        mini_batch_num_tokens: tokens embedded at a time, instead: more short inputs, fewer long ones.
        show_progress_bar: over mini-batches.

    Raises:
        InvalidOption: as for :class:`SpladeLoss`, or a size is not positive.

    References:
        - Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup":
          https://arxiv.org/abs/2101.06983
        - Formal et al., "From Distillation to Hard Negative Sampling: Making Sparse Neural IR Models More
          Effective": https://arxiv.org/abs/2205.04733

    Inputs:
        Those of ``loss``.

    Example:
        ::

            loss = losses.CachedSpladeLoss(
                model,
                losses.SparseMultipleNegativesRankingLoss(model),
                document_regularizer_weight=3e-5,
                query_regularizer_weight=5e-5,
                mini_batch_size=16,
            )
            args = SparseEncoderTrainingArguments("out", per_device_train_batch_size=512)
            SparseEncoderTrainer(model=model, args=args, train_dataset=data, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        loss: nn.Module,
        document_regularizer_weight: float,
        query_regularizer_weight: float | None = None,
        document_regularizer: nn.Module | None = None,
        query_regularizer: nn.Module | None = None,
        document_regularizer_threshold: int | None = None,
        query_regularizer_threshold: int | None = None,
        use_document_regularizer_only: bool = False,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        show_progress_bar: bool = False,
    ) -> None:
        check_model(self, model)
        refuse_static_embedding(model, type(self).__name__, "SpladeLoss")
        check_mini_batches(mini_batch_size, mini_batch_num_tokens)
        super().__init__(
            model,
            loss,
            document_regularizer_weight=document_regularizer_weight,
            query_regularizer_weight=query_regularizer_weight,
            document_regularizer=document_regularizer,
            query_regularizer=query_regularizer,
            document_regularizer_threshold=document_regularizer_threshold,
            query_regularizer_threshold=query_regularizer_threshold,
            use_document_regularizer_only=use_document_regularizer_only,
        )
        self.mini_batch_size = mini_batch_size
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.show_progress_bar = show_progress_bar
        self._values: dict[str, Tensor] = {}

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The sum of all parts from embeddings per column and mini-batch; see :class:`CachedLossMixin`."""
        parts = self.parts_of_loss([join_rows(column) for column in reps], labels)
        self._values = {name: part.detach() for name, part in parts.items()}
        total = sum_of(parts)
        if with_backward:
            total.backward()
        return total.detach() if with_backward else total

    def forward(
        self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        columns = list(sentence_features)
        self._check_columns(columns)  # before any of them is embedded
        total = self.forward_cached(columns, labels)
        # Only the total leads back to the model, so one part has to carry it: itself and nothing else, as the
        # others are taken away again.
        first, *others = self._values
        rest = {name: self._values[name] for name in others}
        return {first: total - sum_of(rest), **rest} if rest else {first: total}

    def get_config_dict(self) -> dict[str, Any]:
        return {
            **super().get_config_dict(),
            "mini_batch_size": self.mini_batch_size,
            "mini_batch_num_tokens": self.mini_batch_num_tokens,
        }

    @property
    def citation(self) -> str:
        return (
            """
@misc{gao2021scaling,
    title={Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup},
    author={Luyu Gao and Yunyi Zhang and Jiawei Han and Jamie Callan},
    year={2021},
    eprint={2101.06983},
    archivePrefix={arXiv},
    primaryClass={cs.LG}
}
"""
            + super().citation
        )
