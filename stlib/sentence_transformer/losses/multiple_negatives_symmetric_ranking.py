"""Ranking of positives in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from typing_extensions import deprecated

from stlib.sentence_transformer.losses.multiple_negatives_ranking import MultipleNegativesRankingLoss
from stlib.util.similarity import cos_sim


@deprecated(
    "MultipleNegativesSymmetricRankingLoss is an older name; use MultipleNegativesRankingLoss with "
    "directions=('query_to_doc', 'doc_to_query') and partition_mode='per_direction'"
)
class MultipleNegativesSymmetricRankingLoss(MultipleNegativesRankingLoss):
    """``MultipleNegativesRankingLoss`` of anchors to documents and of positives to anchors, averaged.

    References:
        - Günther et al., "Jina Embeddings 2", arXiv:2310.19923

    Inputs:
        ``(anchor, positive)`` and any hard negatives, without labels. Hard negatives count for anchors only.

    Relations:
        - ``MultipleNegativesRankingLoss`` with ``directions`` and ``partition_mode`` is the same loss.
        - ``CachedMultipleNegativesSymmetricRankingLoss`` needs the memory of a mini-batch only.

    Example::

        loss = losses.MultipleNegativesSymmetricRankingLoss(model)
    """

    def __init__(
        self,
        model: Any,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__(
            model,
            scale=scale,
            similarity_fct=similarity_fct,
            gather_across_devices=gather_across_devices,
            directions=("query_to_doc", "doc_to_query"),
            partition_mode="per_direction",
        )
