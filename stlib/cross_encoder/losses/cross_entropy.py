"""The class of a pair."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from stlib.base.losses.checks import check_exact_columns, labels_per_row, require_labels
from stlib.cross_encoder.losses.pairs import PairsLoss, as_tensor
from stlib.errors import InvalidInput, InvalidOption


class CrossEntropyLoss(PairsLoss):
    r"""Cross entropy of the class of each pair, for models of several labels.

    With logits :math:`s_1 … s_C` and class y it is :math:`-\log (e^{s_y} / \sum_c e^{s_c})`, averaged.

    Args:
        model: the model to train; it has as many output labels as there are classes.
        activation_fn: applied to the logits first. The loss has a softmax already, so by default none.
        kwargs: further keywords of :class:`torch.nn.CrossEntropyLoss`, e.g. ``label_smoothing``.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has one label, which the softmax makes certain.
        InvalidInput: when called with other columns, or labels that are no classes of the model.

    References:
        - :class:`torch.nn.CrossEntropyLoss`

    Inputs:
        ==============  ==========================================  ====================
        Columns         Labels                                      Labels of the model
        ==============  ==========================================  ====================
        (text, text)    class, an integer from 0 on                 number of classes
        (text, text)    a probability for each class                number of classes
        ==============  ==========================================  ====================

    Relations:
        - :class:`BinaryCrossEntropyLoss` is for models of one label.

    Example::

        model = CrossEncoder("microsoft/mpnet-base", num_labels=2)
        train_dataset = Dataset.from_dict({
            "sentence1": ["How can I become a geologist?", "What is the capital of France?"],
            "sentence2": ["What do I have to learn to be a geologist?", "What is the capital of Italy?"],
            "label": [1, 0],  # 1: duplicate
        })
        loss = losses.CrossEntropyLoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module = nn.Identity(),  # noqa: B008 - without state
        **kwargs: Any,
    ) -> None:
        super().__init__(model, activation_fn)
        self.ce_loss = nn.CrossEntropyLoss(**kwargs)

    def check_num_labels(self, num_labels: int) -> None:
        if num_labels < 2:
            raise InvalidOption(
                f"CrossEntropyLoss trains a model of several output labels, and this one has {num_labels}; "
                "load it with CrossEncoder(…, num_labels=number of classes), or use BinaryCrossEntropyLoss"
            )

    def forward(
        self,
        inputs: list[Any],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of two columns of n texts, and classes ``[n]`` or probabilities ``[n, classes]``."""
        check_exact_columns(self, inputs, 2, "the two texts of each pair")
        pairs = list(zip(*inputs, strict=True))
        given = require_labels(self, as_tensor(self, labels), "the class of each pair, an integer from 0 on")
        logits = self.activation_fn(self.score(pairs, prompt, task))
        return self.ce_loss(logits, self._aims(given.to(logits.device), *logits.shape))

    def _aims(self, labels: Tensor, rows: int, classes: int) -> Tensor:
        if labels.is_floating_point():
            if labels.shape != (rows, classes):
                raise InvalidInput(
                    f"CrossEntropyLoss takes integer labels, or probabilities of shape {(rows, classes)}, "
                    f"and got {labels.dtype} of shape {tuple(labels.shape)}"
                )
            return labels
        aims = labels_per_row(self, labels, rows, "a class").long()
        # On a GPU torch would end the process.
        wrong = aims[((aims < 0) | (aims >= classes)) & (aims != self.ce_loss.ignore_index)]
        if len(wrong):
            raise InvalidInput(
                f"CrossEntropyLoss got the label {int(wrong[0])}, and the model has the classes 0 to "
                f"{classes - 1}; load it with num_labels=number of classes"
            )
        return aims
