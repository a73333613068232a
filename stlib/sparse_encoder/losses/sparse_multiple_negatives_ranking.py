"""Positives of sparse models against the other rows of the batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from stlib.sentence_transformer.losses.multiple_negatives_ranking import (
    Direction,
    HardnessMode,
    MultipleNegativesRankingLoss,
    PartitionMode,
)
from stlib.sparse_encoder.losses.part_of_loss import PartOfLoss
from stlib.util.similarity import dot_score


class SparseMultipleNegativesRankingLoss(PartOfLoss, MultipleNegativesRankingLoss):
    """Cross entropy of finding the positive of an anchor among all documents of the batch, by dot products.

    Dot products of sparse vectors are not bounded as cosines are, so they need no scale. Within
    :class:`SpladeLoss` or :class:`CSRLoss`, the default loss of both.

    Args:
        model: the model to train.
        scale: factor of the similarities.
        similarity_fct: ``(a [n, d], b [m, d]) -> [n, m]``, larger for more alike.
        gather_across_devices, directions, partition_mode, hardness_mode, hardness_strength: see
            :class:`~stlib.losses.MultipleNegativesRankingLoss`.

    Raises:
        InvalidOption: an option has no meaning.

    Inputs:
        ====================================  ======
        Columns                               Labels
        ====================================  ======
        (anchor, positive)                    none
        (anchor, positive, negative)          none
        (anchor, positive, negative_1, …)     none
        ====================================  ======

        Every row of a batch is taken for a negative of the others: batches should not hold a text twice,
        which ``batch_sampler="no_duplicates"`` sees to.

    Example::

        loss = losses.SpladeLoss(
            model,
            losses.SparseMultipleNegativesRankingLoss(model),
            document_regularizer_weight=3e-5,
            query_regularizer_weight=5e-5,
        )
    """

    def __init__(
        self,
        model: Any,
        scale: float = 1.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = dot_score,
        gather_across_devices: bool = False,
        directions: Sequence[Direction] = ("query_to_doc",),
        partition_mode: PartitionMode = "joint",
        hardness_mode: HardnessMode | None = None,
        hardness_strength: float = 0.0,
    ) -> None:
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
