"""The order of a list of documents."""

from __future__ import annotations

from typing import Any

from torch import nn

from stlib.cross_encoder.losses.plist_mle import PListMLELoss


class ListMLELoss(PListMLELoss):
    r"""Likelihood of the order of a list, all places weighing alike.

    With scores :math:`s_1 … s_n` in the true order, the loss of a list is
    :math:`-\sum_i \log (e^{s_i} / \sum_{j \ge i} e^{s_j})`, averaged over the queries.

    Args:
        model, activation_fn, mini_batch_size, respect_input_order: see :class:`PListMLELoss`.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, or without a label for each document.

    References:
        - Xia et al., "Listwise Approach to Learning to Rank: Theory and Algorithm", ICML 2008

    Inputs:
        ======================================  ================================  ====================
        Columns                                 Labels                            Labels of the model
        ======================================  ================================  ====================
        (query, [document_1, …, document_n])    [relevance_1, …, relevance_n]     1
        ======================================  ================================  ====================

        n may differ from row to row. ``mine_hard_negatives(…, output_format="labeled-list")`` makes such
        rows.

    Relations:
        - :class:`PListMLELoss` lets the first places weigh more, as readers do, and often does better.
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
        loss = losses.ListMLELoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module | None = nn.Identity(),  # noqa: B008 - without state
        mini_batch_size: int | None = None,
        respect_input_order: bool = True,
    ) -> None:
        super().__init__(model, None, activation_fn, mini_batch_size, respect_input_order)

    def get_config_dict(self) -> dict[str, Any]:
        return {name: value for name, value in super().get_config_dict().items() if name != "lambda_weight"}

    @property
    def citation(self) -> str:
        return """
@inproceedings{10.1145/1390156.1390306,
    title = {Listwise Approach to Learning to Rank - Theory and Algorithm},
    author = {Xia, Fen and Liu, Tie-Yan and Wang, Jue and Zhang, Wensheng and Li, Hang},
    booktitle = {Proceedings of the 25th International Conference on Machine Learning},
    pages = {1192-1199},
    year = {2008},
    url = {https://doi.org/10.1145/1390156.1390306},
}
"""
