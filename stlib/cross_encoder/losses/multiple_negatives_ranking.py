"""Find the positive among documents of other rows of the batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import require_columns
from stlib.cross_encoder.losses.pairs import PairsLoss
from stlib.errors import InvalidOption
from stlib.util.misc import fullname

_COLUMNS = "anchor, positive and perhaps hard negatives"


class MultipleNegativesRankingLoss(PairsLoss):
    r"""Cross entropy of finding the positive of an anchor among random documents of the batch.

    An anchor is scored with its positive, its hard negatives if there are any, and ``num_negatives``
    documents drawn from other rows. With activated scores :math:`s_j`, the positive's being :math:`s_0`, its
    loss is :math:`-\log (e^{c s_0} / \sum_j e^{c s_j})`, where c is ``scale``. Each score is a pass of the
    model over a pair, so that the whole batch as negatives, as dense models have them, would be costly.

    Args:
        model: the model to train; it has one output label.
        num_negatives: documents of other rows per anchor, drawn without repetition; None, or more than there
            are, for all.
        scale: factor of the activated scores, the inverse of a temperature. Without it, scores between 0 and
            1 would leave the softmax almost even. 0 or None for no factor.
        activation_fn: applied to the logits first; None for none.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, has several labels, or ``num_negatives`` is negative.
        InvalidInput: when called with fewer than two columns.

    References:
        - van den Oord et al., "Representation Learning with Contrastive Predictive Coding", arXiv:1807.03748
        - Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply",
          arXiv:1705.00652, section 4.4

    Inputs:
        ==============================================  ========  ====================
        Columns                                         Labels    Labels of the model
        ==============================================  ========  ====================
        (anchor, positive)                              none      1
        (anchor, positive, negative)                    none      1
        (anchor, positive, negative_1, …, negative_n)   none      1
        ==============================================  ========  ====================

        Documents of other rows are taken for negatives: batches should not hold a text twice, which
        ``batch_sampler="no_duplicates"`` sees to. ``mine_hard_negatives`` finds hard negatives.

    Relations:
        - :class:`CachedMultipleNegativesRankingLoss` has the same value and gradient in little memory.
        - :class:`BinaryCrossEntropyLoss` takes pairs with labels instead.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "answer": ["sorted() returns a sorted list.", "Goethe wrote Faust."],
        })
        loss = losses.MultipleNegativesRankingLoss(model)
        CrossEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        num_negatives: int | None = 4,
        scale: float = 10.0,
        activation_fn: nn.Module | None = nn.Sigmoid(),  # noqa: B008 - without state
    ) -> None:
        if num_negatives is not None and num_negatives < 0:
            raise InvalidOption(f"num_negatives is {num_negatives}; use 0 or more, or None for all")
        super().__init__(model, activation_fn)
        self.num_negatives = num_negatives
        self.scale = scale
        self.cross_entropy_loss = nn.CrossEntropyLoss()

    def forward(
        self,
        inputs: list[Any],
        labels: Tensor | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of columns of n texts: anchors, positives, hard negatives. There are no labels."""
        anchors, columns = self._candidates(inputs)
        scores = [self.call_model_with_columns(anchors, column, prompt, task) for column in columns]
        return self.calculate_loss(scores, len(anchors))

    def _candidates(self, inputs: Sequence[Any]) -> tuple[list[Any], Iterable[list[Any]]]:
        """The anchors, and columns of what each is compared with: the positive, then the negatives."""
        require_columns(self, inputs, 2, _COLUMNS)
        anchors, positives, *hard_negatives = inputs
        drawn = self.get_in_batch_negatives(anchors, [positives, *hard_negatives])
        return anchors, itertools.chain([positives], drawn, hard_negatives)

    def call_model_with_columns(
        self, anchors: list[Any], candidates: list[Any], prompt: str | None = None, task: str | None = None
    ) -> Tensor:
        """Logits ``[n]`` of each anchor with the candidate in its row."""
        return self.call_model_with_pairs(list(zip(anchors, candidates, strict=True)), prompt, task)

    def call_model_with_pairs(
        self, pairs: Sequence[Any], prompt: str | None = None, task: str | None = None
    ) -> Tensor:
        """Logits ``[n]`` of n pairs."""
        return self.score(pairs, prompt, task).reshape(-1)

    def get_in_batch_negatives(
        self, anchors: Sequence[Any], candidates: Sequence[Sequence[Any]]
    ) -> Iterator[list[Any]]:
        """Columns of n documents, each of another row than the anchor in its place.

        Args:
            anchors: n anchors.
            candidates: columns of n documents: positives and hard negatives.
        """
        documents = [document for column in candidates for document in column]
        of_other_rows = ~torch.eye(len(anchors), dtype=torch.bool).repeat(1, len(candidates))
        available = len(documents) - len(candidates)
        if self.num_negatives == 0:
            return
        if self.num_negatives is None or self.num_negatives >= available:
            chosen = of_other_rows.nonzero()[:, 1].reshape(len(anchors), available)
        else:
            chosen = torch.multinomial(of_other_rows.float(), self.num_negatives)
        for column in chosen.T.tolist():
            yield [documents[position] for position in column]

    def calculate_loss(self, logits: Sequence[Tensor], batch_size: int) -> Tensor:
        """The loss of logits in pieces, which end to end are columns of n: positives, then negatives."""
        scores = self.activation_fn(torch.cat(list(logits)).reshape(-1, batch_size).T)
        if self.scale:
            scores = scores * self.scale
        positives = torch.zeros(batch_size, dtype=torch.long, device=scores.device)
        return self.cross_entropy_loss(scores, positives)

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "num_negatives": self.num_negatives,
            "activation_fn": fullname(self.activation_fn),
        }
