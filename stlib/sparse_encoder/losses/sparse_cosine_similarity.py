"""Fit the cosines of pairs of sparse embeddings to scores."""

from __future__ import annotations

from typing import Any

from torch import nn

from stlib.base.losses.checks import check_model
from stlib.sentence_transformer.losses.cosine_similarity import CosineSimilarityLoss
from stlib.sparse_encoder.losses.part_of_loss import PartOfLoss


class SparseCosineSimilarityLoss(PartOfLoss, CosineSimilarityLoss):
    """:class:`~stlib.losses.CosineSimilarityLoss` of sparse embeddings, within :class:`SpladeLoss` or
    :class:`CSRLoss`.

    The model's ``similarity_fn_name`` becomes ``"cosine"``, which is what it learns.

    Args:
        model: the model to train.
        loss_fct: compares cosines ``[n]`` with scores ``[n]``. Default: the mean squared error.
        cos_score_transformation: applied to the cosines first. Default: none. Where activations are never
            negative, cosines lie between 0 and 1.

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
                losses.SparseCosineSimilarityLoss(model),
                document_regularizer_weight=5e-5,
                use_document_regularizer_only=True,
            )

    Raises:
        InvalidInput: fewer than two columns, or not one label per row.
    """

    def __init__(
        self,
        model: Any,
        loss_fct: nn.Module = nn.MSELoss(),  # noqa: B008 - without state
        cos_score_transformation: nn.Module = nn.Identity(),  # noqa: B008 - without state
    ) -> None:
        check_model(self, model)
        model.similarity_fn_name = "cosine"
        super().__init__(model, loss_fct=loss_fct, cos_score_transformation=cos_score_transformation)
