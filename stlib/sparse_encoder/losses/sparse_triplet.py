"""Anchors nearer to positives than to negatives, of sparse embeddings."""

from __future__ import annotations

from typing import Any

from stlib.sentence_transformer.losses.columns import Metric
from stlib.sentence_transformer.losses.triplet import TripletDistanceMetric, TripletLoss
from stlib.sparse_encoder.losses.part_of_loss import PartOfLoss


class SparseTripletLoss(PartOfLoss, TripletLoss):
    """:class:`~stlib.losses.TripletLoss` of sparse embeddings, within :class:`SpladeLoss` or
    :class:`CSRLoss`.

    Args:
        model: the model to train.
        distance_metric: one of :class:`~stlib.losses.TripletDistanceMetric`, or any function of two tensors
            ``[n, d]`` that gives distances ``[n]``.
        triplet_margin: by how much the negative should be further away, in units of that distance.

    Inputs:
        +--------------------------------+--------+
        | Inputs                         | Labels |
        +================================+========+
        | (anchor, positive, negative)   | none   |
        +--------------------------------+--------+

    Example:
        ::

            loss = losses.SpladeLoss(
                model,
                losses.SparseTripletLoss(model),
                document_regularizer_weight=3e-5,
                query_regularizer_weight=5e-5,
            )

    Raises:
        InvalidInput: other than three columns.
    """

    def __init__(
        self,
        model: Any,
        distance_metric: Metric = TripletDistanceMetric.EUCLIDEAN,
        triplet_margin: float = 5,
    ) -> None:
        super().__init__(model, distance_metric=distance_metric, triplet_margin=triplet_margin)
