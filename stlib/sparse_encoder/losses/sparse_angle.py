"""CoSENT of sparse embeddings over angles in complex space."""

from __future__ import annotations

from typing import Any

from stlib.sparse_encoder.losses.sparse_cosent import SparseCoSENTLoss
from stlib.util.similarity import pairwise_angle_sim


class SparseAnglELoss(SparseCoSENTLoss):
    """:class:`SparseCoSENTLoss` with ``pairwise_angle_sim``: the cosine goes flat at its ends, the angle does
    not.

    Args:
        model: the model to train.
        scale: the inverse temperature that the similarities are multiplied with.

    References:
        - Li and Li, "AoE: Angle-optimized Embeddings for Semantic Textual Similarity", ACL 2024:
          https://arxiv.org/abs/2309.12871

    Inputs:
        As those of :class:`SparseCoSENTLoss`.

    Example:
        ::

            loss = losses.SpladeLoss(
                model,
                losses.SparseAnglELoss(model),
                document_regularizer_weight=5e-5,
                use_document_regularizer_only=True,
            )

    Raises:
        InvalidInput: fewer than two columns, or not one label per row.
    """

    def __init__(self, model: Any, scale: float = 20.0) -> None:
        super().__init__(model, scale, similarity_fct=pairwise_angle_sim)
