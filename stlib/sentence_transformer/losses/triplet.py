"""Anchor nearer to the positive than to the negative, by a margin."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from stlib.sentence_transformer.losses.columns import (
    ColumnsLoss,
    Metric,
    check_exact_columns,
    metric_name,
)
from stlib.util.similarity import pairwise_cos_sim, pairwise_euclidean_sim, pairwise_manhattan_sim


class TripletDistanceMetric:
    """Distances of row i of ``x [n, d]`` to row i of ``y [n, d]``: ``[n]``."""

    @staticmethod
    def COSINE(x: Tensor, y: Tensor) -> Tensor:
        return 1 - pairwise_cos_sim(x, y)

    @staticmethod
    def EUCLIDEAN(x: Tensor, y: Tensor) -> Tensor:
        return -pairwise_euclidean_sim(x, y)

    @staticmethod
    def MANHATTAN(x: Tensor, y: Tensor) -> Tensor:
        return -pairwise_manhattan_sim(x, y)


class TripletLoss(ColumnsLoss):
    """The mean of ``max(d(anchor, positive) - d(anchor, negative) + triplet_margin, 0)``.

    Args:
        model: the model to train.
        distance_metric: the distance ``d``: one of :class:`TripletDistanceMetric` or any function of two
            tensors ``[n, d]`` that gives ``[n]``.
        triplet_margin: by how much the negative has to be farther away. The default suits Euclidean distances
            of vectors that are not normalised; cosine distances end at 2, so take well below 1 for them.

    References:
        - Hermans, Beyer and Leibe, "In Defense of the Triplet Loss for Person Re-Identification":
          https://arxiv.org/abs/1703.07737

    Requirements:
        1. (anchor, positive, negative) triplets.

    Inputs:
        +----------------------------------+---------+
        | Inputs                           | Labels  |
        +==================================+=========+
        | (anchor, positive, negative)     | none    |
        +----------------------------------+---------+

    Relations:
        - :class:`MultipleNegativesRankingLoss` takes the same data and also counts the positives and
          negatives of the other rows, which is usually stronger.
        - :class:`BatchHardTripletLoss` and its relatives form triplets from single inputs with a class.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "anchor": ["How do I cook rice?", "Who wrote Faust?"],
                "positive": ["Boil it in twice as much water.", "Goethe did."],
                "negative": ["Rice grows in fields under water.", "Fist is another word for it."],
            })
            loss = losses.TripletLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: other than three columns.
    """

    def __init__(
        self,
        model: nn.Module,
        distance_metric: Metric = TripletDistanceMetric.EUCLIDEAN,
        triplet_margin: float = 5,
    ) -> None:
        super().__init__(model)
        self.distance_metric = distance_metric
        self.triplet_margin = triplet_margin

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of three tensors ``[n, d]``; labels are not looked at."""
        check_exact_columns(self, embeddings, 3, "anchor, positive and negative")
        anchor, positive, negative = embeddings
        too_far = self.distance_metric(anchor, positive) - self.distance_metric(anchor, negative)
        return F.relu(too_far + self.triplet_margin).mean()

    def get_config_dict(self) -> dict[str, Any]:
        name = metric_name(self.distance_metric, TripletDistanceMetric)
        return {"distance_metric": name, "triplet_margin": self.triplet_margin}

    @property
    def citation(self) -> str:
        return """
@misc{hermans2017defense,
    title={In Defense of the Triplet Loss for Person Re-Identification},
    author={Alexander Hermans and Lucas Beyer and Bastian Leibe},
    year={2017},
    eprint={1703.07737},
    archivePrefix={arXiv},
    primaryClass={cs.CV}
}
"""
