"""What losses over lists of documents share: scores and labels of all lists as padded matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from stlib.base.losses.checks import check_exact_columns, require_labels
from stlib.cross_encoder.losses.pairs import PairsLoss
from stlib.errors import InvalidInput

# Below all scores, and finite, so that differences of two are numbers.
PADDED_SCORE = -1e16
PADDED_LABEL = -torch.inf


@dataclass
class Lists:
    """n lists of at most m documents, in the order of the dataset, padded at the end: all ``[n, m]``."""

    scores: Tensor
    """Activated logits in float32; padding has :data:`PADDED_SCORE`."""
    labels: Tensor
    """In float32; padding has :data:`PADDED_LABEL`."""
    mask: Tensor
    """Which places hold a document."""


class ListsLoss(PairsLoss):
    """A loss over (query, list of documents), lists of any length, with one label per document.

    Args:
        model: the model to train; it has one output label.
        activation_fn: applied to the logits before the loss is computed; None for none.
        mini_batch_size: (query, document) pairs scored in one forward pass; None for as many as the batch has
            queries, 0 or less for all at once. It decides on memory and speed, not on the result.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has several labels.
    """

    def __init__(
        self, model: Any, activation_fn: nn.Module | None = None, mini_batch_size: int | None = None
    ) -> None:
        super().__init__(model, activation_fn)
        self.mini_batch_size = mini_batch_size

    def forward(
        self,
        inputs: list[Any],
        labels: list[Tensor] | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of a batch.

        Args:
            inputs: the columns: n queries, and n lists of documents.
            labels: n tensors with a label for each document.
            prompt, task: for the model's ``preprocess``.

        Raises:
            InvalidInput: other columns, or no labels, or not one for each document.
        """
        return self.loss_of_lists(self.score_lists(inputs, labels, prompt, task))

    def loss_of_lists(self, lists: Lists) -> Tensor:
        """The loss of scored lists."""
        raise NotImplementedError

    def score_lists(
        self,
        inputs: Sequence[Any],
        labels: Any,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Lists:
        """Scores and labels of a batch as matrices."""
        counts = self._documents_per_query(inputs)
        aims = self._labels_of_lists(labels, counts)
        pairs = [
            (query, document) for query, documents in zip(*inputs, strict=True) for document in documents
        ]
        size = len(counts) if self.mini_batch_size is None else self.mini_batch_size
        size = size if size > 0 else len(pairs)
        parts = [
            self.score(pairs[begin : begin + size], prompt, task).reshape(-1)
            for begin in range(0, len(pairs), size)
        ]
        logits = self.activation_fn(torch.cat(parts).float())
        scores = pad_sequence(list(logits.split(counts)), batch_first=True, padding_value=PADDED_SCORE)
        matrix = pad_sequence(aims, batch_first=True, padding_value=PADDED_LABEL).to(scores.device)
        places = torch.arange(scores.shape[1], device=scores.device)
        mask = places < torch.tensor(counts, device=scores.device).unsqueeze(1)
        return Lists(scores, matrix, mask)

    def _documents_per_query(self, inputs: Sequence[Any]) -> list[int]:
        check_exact_columns(self, inputs, 2, "a query and the list of its documents")
        queries, lists = inputs
        name = type(self).__name__
        if len(queries) != len(lists):
            raise InvalidInput(f"{name} got {len(queries)} queries and {len(lists)} lists of documents")
        other = next((i for i in lists if not isinstance(i, (list, tuple))), None)
        if other is not None:
            raise InvalidInput(
                f"{name} takes a list of documents for each query, and the second column holds "
                f"{type(other).__name__}: {other!r:.80}; for one document a row use BinaryCrossEntropyLoss"
            )
        counts = [len(documents) for documents in lists]
        if not sum(counts):
            raise InvalidInput(f"{name} got a batch of {len(counts)} queries without any document")
        return counts

    def _labels_of_lists(self, labels: Any, counts: list[int]) -> list[Tensor]:
        what = "a list of numbers, one for each document of the query"
        aims = [torch.as_tensor(label).float() for label in require_labels(self, labels, what)]
        shapes = [tuple(aim.shape) for aim in aims]
        if shapes != [(count,) for count in counts]:
            raise InvalidInput(
                f"{type(self).__name__} takes as labels {what}: {_shorten(counts)} numbers; "
                f"got labels of shape {_shorten(shapes)}"
            )
        return aims

    def get_config_dict(self) -> dict[str, Any]:
        return {**super().get_config_dict(), "mini_batch_size": self.mini_batch_size}


def _shorten(values: list[Any]) -> str:
    shown = ", ".join(map(str, values[:8]))
    return f"[{shown}, …]" if len(values) > 8 else f"[{shown}]"
