"""The contrastive loss of the hard pairs of a batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from stlib.sentence_transformer.losses.columns import (
    ColumnsLoss,
    Metric,
    check_columns,
    labels_per_row,
    metric_name,
    warn_unless_binary,
)
from stlib.sentence_transformer.losses.contrastive import SiameseDistanceMetric


class OnlineContrastiveLoss(ColumnsLoss):
    """Squared distances of hard positives plus squared shortfalls of hard negatives from the margin, summed.

    A positive pair is hard if it is farther apart than the closest negative of the batch, a negative if it is
    closer than the farthest positive. In a batch with one kind of pair only, the mean distance is the bound.

    Args:
        model: the model to train.
        distance_metric: one of :class:`SiameseDistanceMetric`, or any function of two tensors ``[n, d]`` that
            gives ``[n]``.
        margin: negatives at least this far apart cost nothing.

    References:
        - Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006,
          applied to the pairs that a batch gets wrong.

    Requirements:
        1. Pairs of both kinds in a batch, some of them hard.

    Inputs:
        +-------------------------------+-------------------------------+
        | Inputs                        | Labels                        |
        +===============================+===============================+
        | (anchor, positive/negative)   | 1 if positive, 0 if negative  |
        +-------------------------------+-------------------------------+

    Relations:
        - :class:`ContrastiveLoss` counts all pairs, and averages them.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "sentence1": ["How do I cook rice?", "How do I cook rice?"],
                "sentence2": ["What is the way to boil rice?", "Where does rice grow?"],
                "label": [1, 0],
            })
            loss = losses.OnlineContrastiveLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: fewer than two columns, or not one label per row.
    """

    def __init__(
        self,
        model: nn.Module,
        distance_metric: Metric = SiameseDistanceMetric.COSINE_DISTANCE,
        margin: float = 0.5,
    ) -> None:
        super().__init__(model)
        self.margin = margin
        self.distance_metric = distance_metric

    def forward(
        self,
        sentence_features: Iterable[dict[str, Any]],
        labels: Tensor | None = None,
        size_average: bool = False,
    ) -> Tensor:
        """The loss of a batch of two columns. ``size_average`` has no effect: earlier scripts pass it."""
        return super().forward(sentence_features, labels)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of two tensors ``[n, d]`` and labels ``[n]``."""
        check_columns(self, embeddings, 2, "an anchor and a positive or negative")
        alike = labels_per_row(self, labels, len(embeddings[0]), "1 for a positive and 0 for a negative pair")
        warn_unless_binary(self, alike, "their pairs are left out of the loss")
        distances = self.distance_metric(embeddings[0], embeddings[1])
        positives, negatives = distances[alike == 1], distances[alike == 0]
        # The mean of nothing is not a number, which nothing is compared with.
        farthest_positive = positives.max() if len(positives) else negatives.mean()
        closest_negative = negatives.min() if len(negatives) else positives.mean()
        hard_positives = positives[positives > closest_negative]
        hard_negatives = negatives[negatives < farthest_positive]
        return hard_positives.square().sum() + F.relu(self.margin - hard_negatives).square().sum()

    def get_config_dict(self) -> dict[str, Any]:
        name = metric_name(self.distance_metric, SiameseDistanceMetric)
        return {"distance_metric": name, "margin": self.margin}
