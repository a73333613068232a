"""The distribution over a list of documents."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stlib.cross_encoder.losses.lists import Lists, ListsLoss


class ListNetLoss(ListsLoss):
    r"""Cross entropy of the distribution that scores give over a list and the one that labels give.

    Both distributions are softmaxes, the chances of each document to be the first. With scores s and labels y
    the loss of a list is :math:`-\sum_i \mathrm{softmax}(y)_i \log \mathrm{softmax}(s)_i`, averaged over the
    queries. A list without documents counts as 0.

    Args:
        model, activation_fn, mini_batch_size: see
            :class:`~stlib.cross_encoder.losses.lists.ListsLoss`.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, or without a label for each document.

    References:
        - Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", ICML 2007
        - Pobrotyn et al., "Context-Aware Learning to Rank with Self-Attention", arXiv:2005.10084

    Inputs:
        ======================================  ================================  ====================
        Columns                                 Labels                            Labels of the model
        ======================================  ================================  ====================
        (query, [document_1, …, document_n])    [relevance_1, …, relevance_n]     1
        ======================================  ================================  ====================

        n may differ from row to row. ``mine_hard_negatives(…, output_format="labeled-list")`` makes such
        rows.

    Relations:
        - :class:`LambdaLoss` takes the same inputs and often does better.
        - :class:`ListMLELoss` looks at the order of the whole list instead of the chances of the first place.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "docs": [
                ["sorted() returns a sorted list.", "Tigers are cats."],
                ["Goethe wrote Faust.", "Faust is a tragedy by Goethe.", "Marlowe wrote plays."],
            ],
            "labels": [[1, 0], [2, 1, 0]],
        })
        loss = losses.ListNetLoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module | None = nn.Identity(),  # noqa: B008 - without state
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__(model, activation_fn, mini_batch_size)

    def loss_of_lists(self, lists: Lists) -> Tensor:
        # The softmax of an empty list is no number.
        aims = lists.labels.softmax(dim=1).masked_fill(~lists.mask, 0.0)
        return -(aims * lists.scores.log_softmax(dim=1)).sum(dim=1).mean()

    @property
    def citation(self) -> str:
        return """
@inproceedings{cao2007learning,
    title={Learning to Rank: From Pairwise Approach to Listwise Approach},
    author={Cao, Zhe and Qin, Tao and Liu, Tie-Yan and Tsai, Ming-Feng and Li, Hang},
    booktitle={Proceedings of the 24th international conference on Machine learning},
    pages={129--136},
    year={2007}
}
"""
