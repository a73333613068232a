"""Order the cosines of pairs of sparse embeddings as their labels are ordered."""

from __future__ import annotations

from typing import Any

from stlib.base.losses.checks import check_model
from stlib.sentence_transformer.losses.columns import Metric
from stlib.sentence_transformer.losses.cosent import CoSENTLoss
from stlib.sparse_encoder.losses.part_of_loss import PartOfLoss
from stlib.util.similarity import pairwise_cos_sim


class SparseCoSENTLoss(PartOfLoss, CoSENTLoss):
    """:class:`~stlib.losses.CoSENTLoss` of sparse embeddings, within :class:`SpladeLoss` or :class:`CSRLoss`.

    The model's ``similarity_fn_name`` becomes ``"cosine"``, which is what it learns.

    Args:
        model: the model to train.
        scale: the inverse temperature that the similarities are multiplied with.
        similarity_fct: similarity of row i of one tensor ``[n, d]`` with row i of another: ``[n]``.

    Inputs:
        +--------------------------+-------------------------+
        | Inputs                   | Labels                  |
        +==========================+=========================+
        | (input_A, input_B)       | score, a float          |
        +--------------------------+-------------------------+

    Example:
        ::

            loss = losses.SpladeLoss(
                model,
                losses.SparseCoSENTLoss(model),
                document_regularizer_weight=5e-5,
                use_document_regularizer_only=True,
            )

    Raises:
        InvalidInput: fewer than two columns, or not one label per row.
    """

    def __init__(self, model: Any, scale: float = 20.0, similarity_fct: Metric = pairwise_cos_sim) -> None:
        check_model(self, model)
        model.similarity_fn_name = "cosine"
        super().__init__(model, scale=scale, similarity_fct=similarity_fct)
