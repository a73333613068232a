"""The number of operations of a search, as a smooth penalty."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.errors import UnusableAlone


class FlopsLoss(nn.Module):
    """The sum over all dimensions of the squared mean activation: ``Σ_j (1/n Σ_i w_ij)²``.

    A search multiplies where a query and a document are both active, so its cost is that of the dimensions
    that many texts share. The penalty grows with the square of how much a dimension is used, which spreads
    activations over many dimensions instead of a few common ones. A regulariser of :class:`SpladeLoss`.

    Args:
        model: the model whose embeddings are regularised.
        threshold: leave embeddings alone that have at most so many active dimensions; they still count in the
            mean. Default: none are left alone.

    References:
        - Paria et al., "Minimizing FLOPs to Learn Efficient Sparse Representations":
          https://arxiv.org/abs/2004.05665
        - the threshold, there an l0 mask: Shen, Geng and Yang, "Exploring l0 Sparsification for
          Inference-free Sparse Retrievers": https://arxiv.org/abs/2504.14839

    Example:
        ::

            regulariser = losses.FlopsLoss(model, threshold=128)
            loss = losses.SpladeLoss(
                model,
                losses.SparseMultipleNegativesRankingLoss(model),
                document_regularizer_weight=3e-5,
                document_regularizer=regulariser,
            )
    """

    is_penalty = True

    def __init__(self, model: Any, threshold: float | None = None) -> None:
        super().__init__()
        check_model(self, model)
        self.model = model
        self.threshold = threshold

    def forward(self, sentence_features: Any, labels: Any = None) -> Tensor:
        """Refuse.

        Raises:
            UnusableAlone: always; without a loss beside it a model would learn to say nothing.
        """
        raise UnusableAlone(
            "FlopsLoss is a penalty and should not be used alone; pass it to SpladeLoss as "
            "document_regularizer or query_regularizer"
        )

    def compute_loss_from_embeddings(self, embeddings: Tensor) -> Tensor:
        """The penalty of embeddings ``[n, d]``."""
        if self.threshold is not None:
            dense_enough = (embeddings != 0).sum(dim=1) > self.threshold
            embeddings = embeddings * dense_enough.to(embeddings.dtype).unsqueeze(1)
        return embeddings.mean(dim=0).square().sum()

    def get_config_dict(self) -> dict[str, Any]:
        return {"threshold": self.threshold}

    @property
    def citation(self) -> str:
        return """
@article{paria2020minimizing,
    title={Minimizing flops to learn efficient sparse representations},
    author={Paria, Biswajit and Yeh, Chih-Kuan and Yen, Ian EH and Xu, Ning and Ravikumar, Pradeep and P{\\'o}czos, Barnab{\\'a}s},
    journal={arXiv preprint arXiv:2004.05665},
    year={2020}
}
"""  # noqa: E501
