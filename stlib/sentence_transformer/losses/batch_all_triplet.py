"""All triplets of a labelled batch."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stlib.sentence_transformer.losses.batch_hard_triplet import BatchHardTripletLossDistanceFunction
from stlib.sentence_transformer.losses.batch_triplets import BatchDistance, BatchTripletLoss, positive_mask

# Terms up to here are rounding, and not counted in the mean.
_NOTHING = 1e-16


class BatchAllTripletLoss(BatchTripletLoss):
    """The mean of ``max(d(a, p) - d(a, n) + margin, 0)`` over the triplets of a batch for which it is not 0.

    ``p`` is another row of the class of ``a``, and ``n`` one of another class. Triplets that are learned do
    not dilute the mean. A batch without triplets has loss 0.

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
        - :class:`BatchHardTripletLoss` takes the hardest triplet of each row.
        - :class:`BatchSemiHardTripletLoss` takes the closest negative behind each positive.
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
            loss = losses.BatchAllTripletLoss(model)
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

    def batch_all_triplet_loss(self, labels: Tensor, embeddings: Tensor) -> Tensor:
        """The loss of classes ``[n]`` and embeddings ``[n, d]``."""
        return self._of_batch(labels, embeddings)

    def of_distances(self, distances: Tensor, labels: Tensor) -> Tensor:
        # A row per (anchor, positive) that exists takes less memory than all n³ triplets.
        anchors, positives = positive_mask(labels).nonzero(as_tuple=True)
        to_positive = distances[anchors, positives].unsqueeze(1)
        is_negative = labels[anchors].unsqueeze(1) != labels
        terms = (to_positive - distances[anchors] + self.triplet_margin) * is_negative
        terms = terms.clamp(min=0)
        return terms.sum() / ((terms > _NOTHING).sum() + _NOTHING)

    def get_config_dict(self) -> dict[str, Any]:
        return {**super().get_config_dict(), "margin": self.triplet_margin}
