"""Triplets of each row with its farthest positive and its closest negative in the batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stlib.sentence_transformer.losses import batch_triplets
from stlib.sentence_transformer.losses.batch_triplets import BatchDistance, BatchTripletLoss


class BatchHardTripletLossDistanceFunction:
    """Distances of all rows of a tensor ``[n, d]`` to each other, ``[n, n]``, for batch triplet losses."""

    @staticmethod
    def cosine_distance(embeddings: Tensor) -> Tensor:
        """One minus the cosine."""
        return batch_triplets.cosine_distances(embeddings)

    @staticmethod
    def euclidean_distance(embeddings: Tensor, squared: bool = False) -> Tensor:
        """The Euclidean distance or its square, in float32 at least."""
        return batch_triplets.euclidean_distances(embeddings, squared)

    # The spelling of earlier scripts.
    eucledian_distance = euclidean_distance


class BatchHardTripletLoss(BatchTripletLoss):
    """The mean over the rows of ``max(d(row, farthest positive) - d(row, closest negative) + margin, 0)``.

    Positives are the other rows of the same class, negatives those of other classes.

    Args:
        model: the model to train.
        distance_metric: the distances within a tensor: one of :class:`BatchHardTripletLossDistanceFunction`
            or any function of ``[n, d]`` that gives ``[n, n]``.
        margin: by how much negatives have to be farther away. The default suits Euclidean distances of
            vectors that are not normalised; cosine distances end at 2.

    References:
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
        - :class:`BatchAllTripletLoss` takes all triplets of the batch.
        - :class:`BatchSemiHardTripletLoss` takes the closest negative behind each positive.
        - :class:`BatchHardSoftMarginTripletLoss` takes the same triplets and needs no margin.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "text": ["They won 2-1.", "A late goal decided it.", "Shares fell.", "The bank cut rates."],
                "label": [0, 0, 1, 1],
            })
            loss = losses.BatchHardTripletLoss(model)
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
        self.triplet_margin = margin

    def batch_hard_triplet_loss(self, labels: Tensor, embeddings: Tensor) -> Tensor:
        """The loss of classes ``[n]`` and embeddings ``[n, d]``."""
        return self._of_batch(labels, embeddings)

    def of_distances(self, distances: Tensor, labels: Tensor) -> Tensor:
        return (batch_triplets.hardest_margins(distances, labels) + self.triplet_margin).clamp(min=0).mean()

    @staticmethod
    def get_triplet_mask(labels: Tensor) -> Tensor:
        """``[n, n, n]``, True at (a, p, n) if p is another row of the class of a, and n of another class."""
        return batch_triplets.triplet_mask(labels)

    @staticmethod
    def get_anchor_positive_triplet_mask(labels: Tensor) -> Tensor:
        """``[n, n]``, True at (a, p) of the same class, a and p being different rows."""
        return batch_triplets.positive_mask(labels)

    @staticmethod
    def get_anchor_negative_triplet_mask(labels: Tensor) -> Tensor:
        """``[n, n]``, True at (a, n) of different classes."""
        return batch_triplets.negative_mask(labels)

    def get_config_dict(self) -> dict[str, Any]:
        return {**super().get_config_dict(), "margin": self.triplet_margin}
