"""The places of documents in a list."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stlib.cross_encoder.losses.lists import Lists, ListsLoss
from stlib.errors import InvalidOption


class ADRMSELoss(ListsLoss):
    r"""Approximate, discounted mean squared error of the places that scores give to documents.

    The place of document i among those with scores s is approximately
    :math:`\hat r_i = 1 + \sum_{j \ne i} \sigma(\alpha (s_j - s_i))`, which has a gradient. With the place
    :math:`r_i` by labels, equal labels sharing the mean of their places, the loss is the mean over all
    documents of :math:`(r_i - \hat r_i)^2 / \log_2 (1 + r_i)`.

    Args:
        alpha: steepness of the approximation: the larger, the closer to places, and the smaller the gradient
            of documents far apart. The paper uses 1.
        model, activation_fn, mini_batch_size: see
            :class:`~stlib.cross_encoder.losses.lists.ListsLoss`.

    Raises:
        InvalidOption: alpha is not positive, the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, or without a label for each document.

    References:
        - Schlatt et al., "Rank-DistiLLM: Closing the Effectiveness Gap Between Cross-Encoders and LLMs for
          Passage Re-Ranking", arXiv:2405.07920
        - the approximation: Qin et al., "A general approximation framework for direct optimization of
          information retrieval measures", Information Retrieval 13, 2010

    Inputs:
        ======================================  ================================  ====================
        Columns                                 Labels                            Labels of the model
        ======================================  ================================  ====================
        (query, [document_1, …, document_n])    [relevance_1, …, relevance_n]     1
        ======================================  ================================  ====================

        n may differ from row to row. ``mine_hard_negatives(…, output_format="labeled-list")`` makes such
        rows.

    Relations:
        - :class:`RankNetLoss` did about as well in the paper's distillation.
        - :class:`LambdaLoss` takes the same inputs.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "docs": [
                ["sorted() returns a sorted list.", "Tigers are cats."],
                ["Goethe wrote Faust.", "Faust is a tragedy by Goethe.", "Marlowe wrote plays."],
            ],
            "labels": [[1, 0], [2, 1, 0]],
        })
        loss = losses.ADRMSELoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        alpha: float = 1.0,
        activation_fn: nn.Module | None = nn.Identity(),  # noqa: B008 - without state
        mini_batch_size: int | None = None,
    ) -> None:
        if not alpha > 0:
            raise InvalidOption(f"alpha is {alpha}; it must be positive")
        super().__init__(model, activation_fn, mini_batch_size)
        self.alpha = alpha

    def loss_of_lists(self, lists: Lists) -> Tensor:
        places = _places_by_label(lists.labels)
        errors = (places - self.approximate_ranks(lists.scores, lists.mask)).square()
        discounted = (errors / torch.log2(places + 1)).masked_fill(~lists.mask, 0.0)
        return discounted.sum() / lists.mask.sum()

    def approximate_ranks(self, scores: Tensor, mask: Tensor) -> Tensor:
        """Approximate places ``[n, m]`` of documents among those of their list, the highest score first.

        Args:
            scores: ``[n, m]``.
            mask: which of them are of documents; places of others have no meaning.
        """
        above = torch.sigmoid(self.alpha * (scores.unsqueeze(1) - scores.unsqueeze(2)))
        # A document is half above itself.
        return (above * mask.unsqueeze(1)).sum(dim=2) + 1.0 - 0.5 * mask

    def get_config_dict(self) -> dict[str, Any]:
        return {"alpha": self.alpha, **super().get_config_dict()}

    @property
    def citation(self) -> str:
        return """
@inproceedings{schlatt2025rankdistillm,
    title={Rank-DistiLLM: Closing the Effectiveness Gap Between Cross-Encoders and LLMs for Passage Re-ranking},
    author={Schlatt, Ferdinand and Fröbe, Maik and Scells, Harrisen and Zhuang, Shengyao and Koopman, Bevan and Zuccon, Guido and Stein, Benno and Potthast, Martin and Hagen, Matthias},
    booktitle={Advances in Information Retrieval (ECIR 2025)},
    year={2025},
    doi={10.1007/978-3-031-88714-7_31},
}
"""  # noqa: E501


def _places_by_label(labels: Tensor) -> Tensor:
    """Places ``[n, m]`` counted from 1, the highest label first; equal ones share the mean of their places.

    Padding, whose label is the lowest, changes no place of a document.
    """
    others, own = labels.unsqueeze(1), labels.unsqueeze(2)
    above = (others > own).sum(dim=2)
    alike = (others == own).sum(dim=2)
    return above + (alike + 1) / 2
