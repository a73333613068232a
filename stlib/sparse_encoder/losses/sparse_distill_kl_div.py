"""Reproduce a teacher's distribution over the candidates of a query, with sparse embeddings."""

from __future__ import annotations

from typing import Any

from stlib.sentence_transformer.losses.columns import Metric
from stlib.sentence_transformer.losses.distill_kl_div import DistillKLDivLoss
from stlib.sparse_encoder.losses.part_of_loss import PartOfLoss
from stlib.util.similarity import pairwise_dot_score


class SparseDistillKLDivLoss(PartOfLoss, DistillKLDivLoss):
    """:class:`~stlib.losses.DistillKLDivLoss` of sparse embeddings, within :class:`SpladeLoss` or
    :class:`CSRLoss`.

    Args:
        model: the student.
        similarity_fct: the student's score of row i of one tensor ``[n, d]`` with row i of another: ``[n]``.
        temperature: what both sides' scores are divided by: 2 by default, as dot products of sparse vectors
            spread wider than those of unit vectors.
        student_temperature: the student's, if it differs. Its square scales the loss.
        teacher_temperature: the teacher's, if it differs.

    Inputs:
        +---------------------------------------------+--------------------------------------------+
        | Inputs                                      | Labels, with scores t of the teacher       |
        +=============================================+============================================+
        | (query, positive, negative)                 | [t_pos, t_neg]                             |
        +---------------------------------------------+--------------------------------------------+
        | (query, positive, negative_1, ..., neg._n)  | [t_pos, t_1, ..., t_n]                     |
        +---------------------------------------------+--------------------------------------------+

    Relations:
        - :class:`SparseMarginMSELoss` takes the same data and fits differences of scores.

    Example:
        ::

            loss = losses.SpladeLoss(
                student,
                losses.SparseDistillKLDivLoss(student),
                document_regularizer_weight=3e-5,
                query_regularizer_weight=5e-5,
            )

    Raises:
        InvalidOption: a temperature that is not positive and finite.
        InvalidInput: fewer than three columns, or labels of another shape.
    """

    def __init__(
        self,
        model: Any,
        similarity_fct: Metric = pairwise_dot_score,
        temperature: float = 2.0,
        student_temperature: float | None = None,
        teacher_temperature: float | None = None,
    ) -> None:
        super().__init__(
            model,
            similarity_fct=similarity_fct,
            temperature=temperature,
            student_temperature=student_temperature,
            teacher_temperature=teacher_temperature,
        )
