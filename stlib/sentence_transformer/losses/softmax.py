"""A classifier of pairs on top of two embeddings."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.merged_forward import embed_columns
from stlib.errors import InvalidInput, InvalidOption
from stlib.sentence_transformer.losses.columns import check_exact_columns, labels_per_row
from stlib.util.older_names import tell_older_name

logger = logging.getLogger(__name__)


def _accept_older_name(init: Callable[..., None]) -> Callable[..., None]:
    """Take ``embedding_dimension`` under the name that earlier scripts use too."""

    @functools.wraps(init)
    def with_older_name(self: Any, *args: Any, **kwargs: Any) -> None:
        if "sentence_embedding_dimension" in kwargs:
            tell_older_name("SoftmaxLoss", "sentence_embedding_dimension", "embedding_dimension")
            older = kwargs.pop("sentence_embedding_dimension")
            kwargs.setdefault("embedding_dimension", older)
        init(self, *args, **kwargs)

    return with_older_name


class SoftmaxLoss(nn.Module):
    """Cross entropy of a linear classifier over ``u``, ``v``, ``|u - v|`` and ``u · v`` of a pair.

    The classifier lives on the loss and trains with the model; it is not saved with it.

    Args:
        model: the model to train.
        embedding_dimension: the width of its embeddings.
        num_labels: number of classes.
        concatenation_sent_rep: give the classifier ``u`` and ``v``.
        concatenation_sent_difference: give it ``|u - v|``.
        concatenation_sent_multiplication: give it the elementwise product ``u · v``.
        loss_fct: compares logits ``[n, num_labels]`` with the labels. Default: cross entropy.

    References:
        - Reimers and Gurevych, "Sentence-BERT", section 3: https://arxiv.org/abs/1908.10084

    Requirements:
        1. Pairs with a class, or with a probability for each class (not negative, of sum 1).

    Inputs:
        +--------------------------+--------------------------------------------+
        | Inputs                   | Labels                                     |
        +==========================+============================================+
        | (input_A, input_B)       | class, an integer in [0, num_labels)       |
        +--------------------------+--------------------------------------------+
        | (input_A, input_B)       | class probabilities, num_labels floats     |
        +--------------------------+--------------------------------------------+

    Relations:
        - :class:`MultipleNegativesRankingLoss` on the entailment pairs of the same data usually gives better
          embeddings: https://arxiv.org/abs/2004.09813

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "premise": ["A man rides a horse.", "A man rides a horse."],
                "hypothesis": ["Somebody is outdoors.", "The man sleeps."],
                "label": [0, 2],
            })
            loss = losses.SoftmaxLoss(model, model.get_embedding_dimension(), num_labels=3)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidOption: all three concatenations are off.
        InvalidInput: other than two columns, or labels of another shape.
    """

    @_accept_older_name
    def __init__(
        self,
        model: nn.Module,
        embedding_dimension: int,
        num_labels: int,
        concatenation_sent_rep: bool = True,
        concatenation_sent_difference: bool = True,
        concatenation_sent_multiplication: bool = False,
        loss_fct: Callable[..., Any] = nn.CrossEntropyLoss(),  # noqa: B008 - without state
    ) -> None:
        super().__init__()
        check_model(self, model)
        self.model: Any = model
        self.embedding_dimension = embedding_dimension
        self.num_labels = num_labels
        self.concatenation_sent_rep = concatenation_sent_rep
        self.concatenation_sent_difference = concatenation_sent_difference
        self.concatenation_sent_multiplication = concatenation_sent_multiplication
        vectors = (
            2 * bool(concatenation_sent_rep)
            + bool(concatenation_sent_difference)
            + bool(concatenation_sent_multiplication)
        )
        if vectors == 0:
            raise InvalidOption(
                "SoftmaxLoss leaves its classifier nothing to read; set at least one of "
                "concatenation_sent_rep, concatenation_sent_difference and concatenation_sent_multiplication"
            )
        self.classifier = nn.Linear(vectors * embedding_dimension, num_labels, device=self.model.device)
        self.loss_fct = loss_fct

    def forward(
        self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None
    ) -> Tensor | tuple[list[Tensor], Tensor]:
        """The loss of a batch; without labels the two embeddings and the logits ``[n, num_labels]``."""
        embeddings = embed_columns(self.model, sentence_features)
        check_exact_columns(self, embeddings, 2, "the two inputs of a pair")
        logits = self.classifier(self._concatenate(*embeddings).to(self.classifier.weight.dtype))
        if labels is None:
            return embeddings, logits
        return self.loss_fct(logits, self._fitting(labels, logits))

    def _concatenate(self, u: Tensor, v: Tensor) -> Tensor:
        parts = [u, v] if self.concatenation_sent_rep else []
        if self.concatenation_sent_difference:
            parts.append((u - v).abs())
        if self.concatenation_sent_multiplication:
            parts.append(u * v)
        return torch.cat(parts, dim=1)

    def _fitting(self, labels: Tensor, logits: Tensor) -> Tensor:
        """Probabilities as they are, and classes as ``[n]``."""
        if self.num_labels > 1 and labels.shape == logits.shape:
            return labels
        what = f"a class from 0 to {self.num_labels - 1}, or {self.num_labels} probabilities"
        classes = labels_per_row(self, labels, len(logits), what)
        if (
            self.num_labels > 1
            and classes.is_floating_point()
            and isinstance(self.loss_fct, nn.CrossEntropyLoss)
        ):
            raise InvalidInput(
                f"SoftmaxLoss got one {classes.dtype} label per pair; a class is an integer: {what}. Scores "
                "are for CosineSimilarityLoss or CoSENTLoss"
            )
        if not classes.is_floating_point() and classes.dtype != torch.bool:
            counted = classes[classes != self.ignored_label]
            if len(counted):
                least, most = torch.stack(counted.aminmax()).tolist()
                self.check_range_of_labels(least, most, "a batch")
        return classes

    @property
    def ignored_label(self) -> int | None:
        """The label of pairs that cross entropy leaves out; None for other functions."""
        return self.loss_fct.ignore_index if isinstance(self.loss_fct, nn.CrossEntropyLoss) else None

    def check_range_of_labels(self, least: float, most: float, where: str) -> None:
        """Refuse classes that the classifier lacks: on a GPU torch would end the process.

        Args:
            least: the lowest class but ``ignored_label``.
            most: the highest one.
            where: what the error calls their place.

        Raises:
            InvalidInput: one is outside of ``[0, num_labels)``.
        """
        classes = isinstance(least, int) and self.ignored_label is not None
        if classes and not 0 <= least <= most < self.num_labels:
            raise InvalidInput(
                f"{where} has labels from {least} to {most}; SoftmaxLoss has num_labels={self.num_labels}, "
                f"the classes 0 to {self.num_labels - 1}. Number the classes from 0, and pass how many there "
                "are as num_labels"
            )

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "num_labels": self.num_labels,
            "concatenation_sent_rep": self.concatenation_sent_rep,
            "concatenation_sent_difference": self.concatenation_sent_difference,
            "concatenation_sent_multiplication": self.concatenation_sent_multiplication,
        }

    @property
    def citation(self) -> str:
        return """
@inproceedings{reimers-2019-sentence-bert,
    title = "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks",
    author = "Reimers, Nils and Gurevych, Iryna",
    booktitle = "Proceedings of the 2019 Conference on Empirical Methods in Natural Language Processing",
    month = "11",
    year = "2019",
    publisher = "Association for Computational Linguistics",
    url = "https://arxiv.org/abs/1908.10084",
}
"""
