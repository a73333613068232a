"""The hardest triplets of a batch, with a smooth bound instead of a margin."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from stlib.sentence_transformer.losses.batch_hard_triplet import (
    BatchHardTripletLoss,
    BatchHardTripletLossDistanceFunction,
)
from stlib.sentence_transformer.losses.batch_triplets import BatchDistance, BatchTripletLoss, hardest_margins


class BatchHardSoftMarginTripletLoss(BatchHardTripletLoss):
    """The mean over the rows of ``log(1 + exp(d(row, farthest positive) - d(row, closest negative)))``.

    Args:
        model: the model to train.
        distance_metric: the distances within a tensor: one of :class:`BatchHardTripletLossDistanceFunction`
            or any function of ``[n, d]`` that gives ``[n, n]``.

    References:
        - Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification", section 2:
          https://arxiv.org/abs/1703.07737

    Requirements:
        1. Inputs with a class, of which a batch holds at least two, each with at least two rows:
           ``batch_sampler=BatchSamplers.GROUP_BY_LABEL`` makes such batches.

    Inputs:
        +----------+----------------------+
        | Inputs   | Labels               |
        +==========+======================+
        | input    | class, an integer    |
        +----------+----------------------+

    Relations:
        - :class:`BatchHardTripletLoss` takes the same triplets and stops at a margin.
        - :class:`BatchAllTripletLoss` and :class:`BatchSemiHardTripletLoss` take other triplets.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "text": ["They won 2-1.", "A late goal decided it.", "Shares fell.", "The bank cut rates."],
                "label": [0, 0, 1, 1],
            })
            loss = losses.BatchHardSoftMarginTripletLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: not one label per row, or a distance_metric that does not give ``[n, n]``.
    """

    def __init__(
        self,
        model: nn.Module,
        distance_metric: BatchDistance = BatchHardTripletLossDistanceFunction.euclidean_distance,
    ) -> None:
        super().__init__(model, distance_metric)

    def batch_hard_triplet_soft_margin_loss(self, labels: Tensor, embeddings: Tensor) -> Tensor:
        """The loss of classes ``[n]`` and embeddings ``[n, d]``."""
        return self._of_batch(labels, embeddings)

    def of_distances(self, distances: Tensor, labels: Tensor) -> Tensor:
        return F.softplus(hardest_margins(distances, labels)).mean()

    def get_config_dict(self) -> dict[str, Any]:
        return BatchTripletLoss.get_config_dict(self)
