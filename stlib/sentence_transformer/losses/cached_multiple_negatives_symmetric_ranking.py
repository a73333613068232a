"""Ranking of positives in both directions over a large batch, embedded in mini-batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from typing_extensions import deprecated

from stlib.sentence_transformer.losses.cached_multiple_negatives_ranking import (
    CachedMultipleNegativesRankingLoss,
)
from stlib.util.similarity import cos_sim


@deprecated(
    "CachedMultipleNegativesSymmetricRankingLoss is an older name; use CachedMultipleNegativesRankingLoss "
    "with directions=('query_to_doc', 'doc_to_query') and partition_mode='per_direction'"
)
class CachedMultipleNegativesSymmetricRankingLoss(CachedMultipleNegativesRankingLoss):
    """``MultipleNegativesSymmetricRankingLoss`` in the memory of a mini-batch.

    References:
        - Günther et al., "Jina Embeddings 2", arXiv:2310.19923
        - Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
          arXiv:2101.06983

    Inputs:
        ``(anchor, positive)`` and any hard negatives, without labels.

    Relations:
        - ``CachedMultipleNegativesRankingLoss`` with ``directions`` and ``partition_mode`` is the same loss.

    Example::

        loss = losses.CachedMultipleNegativesSymmetricRankingLoss(model, mini_batch_size=64)
    """

    def __init__(
        self,
        model: Any,
        scale: float = 20.0,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
        show_progress_bar: bool = False,
    ) -> None:
        super().__init__(
            model,
            scale=scale,
            similarity_fct=similarity_fct,
            mini_batch_size=mini_batch_size,
            mini_batch_num_tokens=mini_batch_num_tokens,
            gather_across_devices=gather_across_devices,
            directions=("query_to_doc", "doc_to_query"),
            partition_mode="per_direction",
            show_progress_bar=show_progress_bar,
        )
