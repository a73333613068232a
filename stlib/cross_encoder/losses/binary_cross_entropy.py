"""Relevant or not: the cross entropy of one score per pair."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stlib.cross_encoder.losses.pairs import ScoredPairsLoss
from stlib.errors import InvalidInput

# What labels may lie outside of 0 to 1, from rounding
_ROUNDING = 1e-3


class BinaryCrossEntropyLoss(ScoredPairsLoss):
    r"""Binary cross entropy of each pair: a high logit for positives, a low one for negatives.

    With logit s and label y it is :math:`-y \log \sigma(s) - (1 - y) \log (1 - \sigma(s))`, averaged.

    Args:
        model: the model to train; it has one output label.
        activation_fn: applied to the logits first. The loss has a sigmoid already, so by default none.
        pos_weight: factor of the term of positives, e.g. ``torch.tensor(4)`` if negatives are four times
            as many.
        kwargs: further keywords of :class:`torch.nn.BCEWithLogitsLoss`.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with other columns, without one label for each pair, or with labels outside
            of 0 to 1, for which the loss has no minimum.

    References:
        - :class:`torch.nn.BCEWithLogitsLoss`
        - for rerankers: Nogueira and Cho, "Passage Re-ranking with BERT", arXiv:1901.04085

    Inputs:
        ================================  ===================================  ====================
        Columns                           Labels                               Labels of the model
        ================================  ===================================  ====================
        (anchor, positive or negative)    1 for positives, 0 for negatives     1
        (text, text)                      similarity between 0 and 1           1
        ================================  ===================================  ====================

        ``mine_hard_negatives(…, output_format="labeled-pair")`` makes such rows.

    Relations:
        - :class:`CrossEntropyLoss` is for models of several labels.
        - :class:`LambdaLoss` and its like compare the documents of a query with each other.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "How do I sort a list?"],
            "response": ["sorted() returns a sorted list.", "Tigers are cats."],
            "label": [1, 0],
        })
        loss = losses.BinaryCrossEntropyLoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    labels_are = "a number from 0 to 1"

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module = nn.Identity(),  # noqa: B008 - without state
        pos_weight: Tensor | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, activation_fn)
        self.pos_weight = None if pos_weight is None else torch.as_tensor(pos_weight)
        self.bce_with_logits_loss = nn.BCEWithLogitsLoss(pos_weight=self.pos_weight, **kwargs)

    def forward(
        self,
        inputs: list[Any],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of two columns of n texts, and labels ``[n]``."""
        scores, aims = self.scores_and_labels(inputs, labels, prompt, task)
        least, most = torch.stack(aims.aminmax()).tolist()
        self.check_range_of_labels(least, most, "a batch")
        return self.bce_with_logits_loss(scores, aims)

    def check_range_of_labels(self, least: float, most: float, where: str) -> None:
        """Refuse labels that are no probabilities.

        Args:
            least: the least label.
            most: the greatest.
            where: what the error calls their place.

        Raises:
            InvalidInput: one is outside of 0 to 1.
        """
        if least < -_ROUNDING or most > 1 + _ROUNDING:
            raise InvalidInput(
                f"{where} has labels from {least:g} to {most:g}; BinaryCrossEntropyLoss takes "
                f"{self.labels_are}. Scale them; or use MSELoss for scores of a teacher, and "
                "CrossEntropyLoss for several classes"
            )

    def get_config_dict(self) -> dict[str, Any]:
        weight = None if self.pos_weight is None else self.pos_weight.item()
        return {**super().get_config_dict(), "pos_weight": weight}
