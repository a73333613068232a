"""Pairs of documents in the wrong order."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from stlib.cross_encoder.losses.lambda_loss import LambdaLoss, NoWeightingScheme


class RankNetLoss(LambdaLoss):
    r"""Loss of each pair of documents whose labels differ, all weighing alike.

    With scores s, the loss is the mean over all pairs (i, j) of a query with label i above label j of
    :math:`-\log \sigma(c (s_i - s_j))`, where c is ``sigma``.

    Args:
        model, k, sigma, eps, reduction_log, activation_fn, mini_batch_size: see :class:`LambdaLoss`.

    Raises:
        InvalidOption: an option has no meaning, the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, or without a label for each document.

    References:
        - Burges et al., "Learning to Rank using Gradient Descent", ICML 2005

    Inputs:
        ======================================  ================================  ====================
        Columns                                 Labels                            Labels of the model
        ======================================  ================================  ====================
        (query, [document_1, …, document_n])    [relevance_1, …, relevance_n]     1
        ======================================  ================================  ====================

        n may differ from row to row. ``mine_hard_negatives(…, output_format="labeled-list")`` makes such
        rows.

    Relations:
        - :class:`LambdaLoss` weighs pairs by what they mean for NDCG, and often does better.
        - :class:`ADRMSELoss` compares places instead of scores.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "docs": [
                ["sorted() returns a sorted list.", "Tigers are cats."],
                ["Goethe wrote Faust.", "Faust is a tragedy by Goethe.", "Marlowe wrote plays."],
            ],
            "labels": [[1, 0], [2, 1, 0]],
        })
        loss = losses.RankNetLoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        k: int | None = None,
        sigma: float = 1.0,
        eps: float = 1e-10,
        reduction_log: Literal["natural", "binary"] = "binary",
        activation_fn: nn.Module | None = nn.Identity(),  # noqa: B008 - without state
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__(
            model, NoWeightingScheme(), k, sigma, eps, reduction_log, activation_fn, mini_batch_size
        )

    def get_config_dict(self) -> dict[str, Any]:
        return {n: value for n, value in super().get_config_dict().items() if n != "weighting_scheme"}

    @property
    def citation(self) -> str:
        return """
@inproceedings{burges2005learning,
  title={Learning to Rank using Gradient Descent},
  author={Burges, Chris and Shaked, Tal and Renshaw, Erin and Lazier, Ari and Deeds, Matt and Hamilton, Nicole and Hullender, Greg},
  booktitle={Proceedings of the 22nd international conference on Machine learning},
  pages={89--96},
  year={2005}
}
"""  # noqa: E501
