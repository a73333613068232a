"""The order of a list of documents, its first places weighing most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from stlib.cross_encoder.losses.lists import Lists, ListsLoss
from stlib.util.misc import fullname

# 2 ** 127 is the greatest power of two in float32.
_GREATEST_EXPONENT = 127


class PListMLELambdaWeight(nn.Module):
    """Weights of the places of a list.

    Args:
        rank_discount_fn: from a mask ``[n, m]`` of the places that hold a document to weights ``[n, m]``,
            zero elsewhere. Default: ``2 ** (documents - place) - 1``, with places counted from 1.
    """

    def __init__(self, rank_discount_fn: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.rank_discount_fn = rank_discount_fn

    def forward(self, mask: Tensor) -> Tensor:
        """Weights ``[n, m]``. Those of a list of more than 127 documents are scaled down together, as float32
        cannot hold them.
        """
        if self.rank_discount_fn is not None:
            return self.rank_discount_fn(mask)
        documents = mask.sum(dim=1, keepdim=True)
        places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        shift = (documents - _GREATEST_EXPONENT).clamp(min=0)
        # Each power is scaled by itself, as it would overflow before.
        weights = torch.exp2((documents - places - shift).float()) - torch.exp2(-shift.float())
        return weights.masked_fill(~mask, 0.0)


class PListMLELoss(ListsLoss):
    r"""Likelihood of the order of a list, if documents are drawn one by one by their scores.

    With scores :math:`s_1 … s_n` in the true order, the loss of a list is
    :math:`-\sum_i w_i \log (e^{s_i} / \sum_{j \ge i} e^{s_j})`, averaged over the queries. The weights w
    of the places sum to 1.

    Args:
        lambda_weight: weights of the places; None for ListMLE, where all are 1.
        respect_input_order: take documents to be in the true order already, and labels for nothing. If False,
            they are sorted by falling label; equal labels keep their order.
        model, activation_fn, mini_batch_size: see
            :class:`~stlib.cross_encoder.losses.lists.ListsLoss`.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, or without a label for each document.

    References:
        - Lan et al., "Position-Aware ListMLE: A Sequential Learning Process for Ranking", UAI 2014

    Inputs:
        ======================================  ================================  ====================
        Columns                                 Labels                            Labels of the model
        ======================================  ================================  ====================
        (query, [document_1, …, document_n])    [relevance_1, …, relevance_n]     1
        ======================================  ================================  ====================

        n may differ from row to row. ``mine_hard_negatives(…, output_format="labeled-list")`` makes such
        rows.

    Relations:
        - :class:`ListMLELoss` weighs all places alike.
        - :class:`LambdaLoss` takes the same inputs and often does better.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "docs": [
                ["sorted() returns a sorted list.", "Tigers are cats."],
                ["Goethe wrote Faust.", "Faust is a tragedy by Goethe.", "Marlowe wrote plays."],
            ],
            "labels": [[1, 0], [2, 1, 0]],
        })
        loss = losses.PListMLELoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()

        # with other weights
        def by_logarithm(mask):
            return (1 / torch.log1p(mask.cumsum(dim=-1))).masked_fill(~mask, 0)

        loss = losses.PListMLELoss(model, lambda_weight=losses.PListMLELambdaWeight(by_logarithm))
    """

    def __init__(
        self,
        model: Any,
        lambda_weight: PListMLELambdaWeight | None = PListMLELambdaWeight(),  # noqa: B008 - without state
        activation_fn: nn.Module | None = nn.Identity(),  # noqa: B008 - without state
        mini_batch_size: int | None = None,
        respect_input_order: bool = True,
    ) -> None:
        super().__init__(model, activation_fn, mini_batch_size)
        self.lambda_weight = lambda_weight
        self.respect_input_order = respect_input_order
        self.eps = 1e-10

    def loss_of_lists(self, lists: Lists) -> Tensor:
        scores = lists.scores
        if not self.respect_input_order:
            # Padding has the lowest label and stays at the end.
            order = lists.labels.argsort(dim=1, descending=True, stable=True)
            scores = scores.gather(1, order)
        left = torch.logcumsumexp(scores.flip(1), dim=1).flip(1)  # over a document and all behind it
        log_chances = (scores - left).masked_fill(~lists.mask, 0.0)
        if self.lambda_weight is not None:
            weights = self.lambda_weight(lists.mask)
            log_chances = log_chances * (weights / (weights.sum(dim=1, keepdim=True) + self.eps))
        return -log_chances.sum(dim=1).mean()

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "lambda_weight": None if self.lambda_weight is None else fullname(self.lambda_weight),
            **super().get_config_dict(),
            "respect_input_order": self.respect_input_order,
        }

    @property
    def citation(self) -> str:
        return """
@inproceedings{lan2014position,
  title={Position-Aware ListMLE: A Sequential Learning Process for Ranking},
  author={Lan, Yanyan and Zhu, Yadong and Guo, Jiafeng and Niu, Shuzi and Cheng, Xueqi},
  booktitle={UAI},
  volume={14},
  pages={449--458},
  year={2014}
}
"""
