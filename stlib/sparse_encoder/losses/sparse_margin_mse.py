"""Fit margins between scores of sparse embeddings to a teacher's."""

from __future__ import annotations

from typing import Any

from stlib.sentence_transformer.losses.columns import Metric
from stlib.sentence_transformer.losses.margin_mse import MarginMSELoss
from stlib.sparse_encoder.losses.part_of_loss import PartOfLoss
from stlib.util.similarity import pairwise_dot_score


class SparseMarginMSELoss(PartOfLoss, MarginMSELoss):
    """:class:`~stlib.losses.MarginMSELoss` of sparse embeddings, within :class:`SpladeLoss` or
    :class:`CSRLoss`.

    Args:
        model: the student.
        similarity_fct: the student's score of row i of one tensor ``[n, d]`` with row i of another: ``[n]``.

    Inputs:
        +---------------------------------------------+----------------------------------------------------+
        | Inputs                                      | Labels, with scores t of the teacher               |
        +=============================================+====================================================+
        | (query, positive, negative)                 | t_pos - t_neg, or [t_pos, t_neg]                   |
        +---------------------------------------------+----------------------------------------------------+
        | (query, positive, negative_1, ..., neg._n)  | [t_pos - t_1, ..., t_pos - t_n],                   |
        |                                             | or [t_pos, t_1, ..., t_n]                          |
        +---------------------------------------------+----------------------------------------------------+

    Relations:
        - :class:`SparseDistillKLDivLoss` takes the same data and fits a distribution.

    Example:
        ::

            loss = losses.SpladeLoss(
                student,
                losses.SparseMarginMSELoss(student),
                document_regularizer_weight=3e-5,
                query_regularizer_weight=5e-5,
            )

    Raises:
        InvalidInput: fewer than three columns, or labels of another shape.
    """

    def __init__(self, model: Any, similarity_fct: Metric = pairwise_dot_score) -> None:
        super().__init__(model, similarity_fct=similarity_fct)
