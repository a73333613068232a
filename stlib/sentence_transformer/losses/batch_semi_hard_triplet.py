"""Triplets with the closest negative behind each positive."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stlib.sentence_transformer.losses.batch_hard_triplet import BatchHardTripletLossDistanceFunction
from stlib.sentence_transformer.losses.batch_triplets import (
    BatchDistance,
    BatchTripletLoss,
    negative_mask,
    positive_mask,
)


class BatchSemiHardTripletLoss(BatchTripletLoss):
    """The mean of ``max(d(a, p) - d(a, n) + margin, 0)`` over all (a, p) of a class in a batch.

    ``n`` is the closest row of another class that is farther from ``a`` than ``p``; if none is, the farthest
    row of another class. The very hardest negatives, often mislabelled, are so left aside.

    Args:
        model: the model to train.
        distance_metric: the distances within a tensor: one of :class:`BatchHardTripletLossDistanceFunction`
            or any function of ``[n, d]`` that gives ``[n, n]``.
        margin: by how much negatives have to be farther away. The default suits Euclidean distances of
            vectors that are not normalised; cosine distances end at 2.

    References:
        - Schroff, Kalenichenko and Philbin, "FaceNet", section 3.2: https://arxiv.org/abs/1503.03832
        - Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification":
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
        - :class:`BatchHardTripletLoss` takes the hardest triplet of each row.
        - :class:`BatchAllTripletLoss` takes all triplets of the batch.
        - :class:`BatchHardSoftMarginTripletLoss` takes the hardest ones and needs no margin.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "text": ["They won 2-1.", "A late goal decided it.", "Shares fell.", "The bank cut rates."],
                "label": [0, 0, 1, 1],
            })
            loss = losses.BatchSemiHardTripletLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: not one label per row, or a distance_metric that does not give ``[n, n]``.
    """

    def __init__(
        self,
        model: nn.Module,
        distance_metric: BatchDistance = BatchHardTripletLossDistanceFunction.euclidean_distance,
        margin: float = 5,
    ) -> None:
        super().__init__(model, distance_metric)
        self.margin = margin

    def batch_semi_hard_triplet_loss(self, labels: Tensor, embeddings: Tensor) -> Tensor:
        """The loss of classes ``[n]`` and embeddings ``[n, d]``."""
        return self._of_batch(labels, embeddings)

    def of_distances(self, distances: Tensor, labels: Tensor) -> Tensor:
        positives = positive_mask(labels)
        terms = (distances - _semi_hard(distances, negative_mask(labels)) + self.margin) * positives
        # One positive pair counts at least: a batch without any has the loss 0.
        return terms.clamp(min=0).sum() / positives.sum().clamp(min=1)

    def get_config_dict(self) -> dict[str, Any]:
        return {**super().get_config_dict(), "margin": self.margin}


def _semi_hard(distances: Tensor, negatives: Tensor) -> Tensor:
    """``[n, n]``: of (a, p) the smallest distance of a to a negative that is larger than that of a to p.

    Without one it is the largest distance of a to a negative; without negatives, the row's smallest distance.
    """
    rising = distances.masked_fill(~negatives, torch.inf).sort(dim=1, stable=True).values
    behind = torch.searchsorted(rising.detach(), distances.detach().contiguous(), right=True)
    closest_behind = rising.gather(1, behind.clamp(max=len(distances) - 1))
    smallest = distances.min(dim=1, keepdim=True).values
    farthest = smallest + ((distances - smallest) * negatives).max(dim=1, keepdim=True).values
    return torch.where(closest_behind.isfinite(), closest_behind, farthest)
