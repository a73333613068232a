"""Pull alike pairs together and push others apart up to a margin."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from stlib.sentence_transformer.losses.columns import (
    ColumnsLoss,
    Metric,
    check_exact_columns,
    labels_per_row,
    metric_name,
    warn_unless_binary,
)


class SiameseDistanceMetric:
    """Distances of row i of ``x [n, d]`` to row i of ``y [n, d]``: ``[n]``."""

    @staticmethod
    def EUCLIDEAN(x: Tensor, y: Tensor) -> Tensor:
        return F.pairwise_distance(x, y, p=2)

    @staticmethod
    def MANHATTAN(x: Tensor, y: Tensor) -> Tensor:
        return F.pairwise_distance(x, y, p=1)

    @staticmethod
    def COSINE_DISTANCE(x: Tensor, y: Tensor) -> Tensor:
        return 1 - F.cosine_similarity(x, y)


class ContrastiveLoss(ColumnsLoss):
    """``½ (y · d² + (1 - y) · max(margin - d, 0)²)`` for pairs that are alike (``y = 1``) or not (``y = 0``).

    Args:
        model: the model to train.
        distance_metric: the distance ``d``: one of :class:`SiameseDistanceMetric` or any function of two
            tensors ``[n, d]`` that gives ``[n]``.
        margin: pairs that are not alike and at least this far apart cost nothing.
        size_average: average over the pairs of a batch; else their sum.

    References:
        - Hadsell, Chopra and LeCun, "Dimensionality Reduction by Learning an Invariant Mapping", CVPR 2006:
          http://yann.lecun.com/exdb/publis/pdf/hadsell-chopra-lecun-06.pdf

    Requirements:
        1. (anchor, positive) and (anchor, negative) pairs in one dataset.

    Inputs:
        +-------------------------------+-------------------------------+
        | Inputs                        | Labels                        |
        +===============================+===============================+
        | (anchor, positive/negative)   | 1 if positive, 0 if negative  |
        +-------------------------------+-------------------------------+

    Relations:
        - :class:`OnlineContrastiveLoss` takes the same data and counts only the hard pairs of a batch, which
          often trains better.

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
            loss = losses.ContrastiveLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: other than two columns, or not one label per row.
    """

    def __init__(
        self,
        model: nn.Module,
        distance_metric: Metric = SiameseDistanceMetric.COSINE_DISTANCE,
        margin: float = 0.5,
        size_average: bool = True,
    ) -> None:
        super().__init__(model)
        self.distance_metric = distance_metric
        self.margin = margin
        self.size_average = size_average

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "distance_metric": metric_name(self.distance_metric, SiameseDistanceMetric),
            "margin": self.margin,
            "size_average": self.size_average,
        }

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of two tensors ``[n, d]`` and labels ``[n]``; one between 0 and 1 weighs both terms."""
        check_exact_columns(self, embeddings, 2, "an anchor and a positive or negative")
        alike = labels_per_row(self, labels, len(embeddings[0]), "1 for a positive and 0 for a negative pair")
        warn_unless_binary(self, alike, "they weigh the term of positives, and 1 - label that of negatives")
        alike = alike.float()
        distances = self.distance_metric(*embeddings)
        pull = alike * distances.square()
        push = (1 - alike) * F.relu(self.margin - distances).square()
        losses = (pull + push) / 2
        return losses.mean() if self.size_average else losses.sum()

    @property
    def citation(self) -> str:
        return """
@inproceedings{hadsell2006dimensionality,
    title={Dimensionality Reduction by Learning an Invariant Mapping},
    author={Hadsell, R. and Chopra, S. and LeCun, Y.},
    booktitle={2006 IEEE Computer Society Conference on Computer Vision and Pattern Recognition (CVPR'06)},
    year={2006},
    volume={2},
    pages={1735-1742},
    doi={10.1109/CVPR.2006.100}
}
"""
