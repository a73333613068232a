"""Train without labels by the tension between two copies of a model."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.errors import InvalidOption
from stlib.sentence_transformer.losses.columns import (
    Metric,
    check_columns,
    check_exact_columns,
    labels_per_row,
)
from stlib.sentence_transformer.losses.same_inputs import same_inputs
from stlib.sentence_transformer.readers import InputExample
from stlib.util.lists import refuse_text
from stlib.util.misc import similarity_fct_name
from stlib.util.similarity import cos_sim

CITATION = """
@inproceedings{carlsson2021semantic,
    title={Semantic Re-tuning with Contrastive Tension},
    author={Fredrik Carlsson and Amaru Cuba Gyllensten and Evangelia Gogoulou and Erik Ylip{\\"a}{\\"a} Hellqvist and Magnus Sahlgren},
    booktitle={International Conference on Learning Representations},
    year={2021},
    url={https://openreview.net/forum?id=Ov_sMNau-PF}
}
"""  # noqa: E501


class TwoModelsLoss(nn.Module):
    """A model and an independent copy of it; both train, and the first is the result."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        check_model(self, model)
        self.model: Any = model
        self.model1: Any = copy.deepcopy(model)

    @property
    def model2(self) -> Any:
        """The model that is trained to be used, under the name that these losses have always had for it."""
        return self.model

    @property
    def citation(self) -> str:
        return CITATION


class ContrastiveTensionLoss(TwoModelsLoss):
    """Binary cross entropy of the dot products of pairs, summed: 1 if both inputs are the same text, else 0.

    An independent copy of the model embeds the first input of each pair and the model the second. Both train;
    the model is the one to keep. Its copy starts with the model's weights when the loss is made.

    Args:
        model: the model to train.

    References:
        - Carlsson et al., "Semantic Re-Tuning with Contrastive Tension", ICLR 2021:
          https://openreview.net/pdf?id=Ov_sMNau-PF

    Requirements:
        1. Pairs of equal texts among pairs of different ones, say one in eight.

    Inputs:
        +--------------------------+-------------------------------------------------------+
        | Inputs                   | Labels                                                |
        +==========================+=======================================================+
        | (input_A, input_B)       | none: equal tokens count 1; or 1 if equal, 0 if not   |
        +--------------------------+-------------------------------------------------------+

    Relations:
        - :class:`ContrastiveTensionLossInBatchNegatives` takes single texts, and the other texts of the batch
          as negatives, which gives a stronger signal.
        - :class:`ContrastiveTensionDataLoader` makes such pairs of a list of texts for ``model.fit``.

    Example:
        ::

            import random
            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("sentence-transformers/all-MiniLM-L6-v2")
            texts = ["A dog runs.", "Rain falls.", "He reads a book."]
            pairs = [(text, text if random.random() < 1 / 8 else random.choice(texts)) for text in texts]
            data = Dataset.from_dict({"first": [a for a, _ in pairs], "second": [b for _, b in pairs]})
            loss = losses.ContrastiveTensionLoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: other than two columns, not one label per row, or no labels and inputs without tokens.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.criterion = nn.BCEWithLogitsLoss(reduction="sum")

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch of two columns; labels ``[n]`` default to whether the tokens are equal."""
        columns = list(sentence_features)
        check_exact_columns(self, columns, 2, "the two inputs of a pair")
        if labels is None:
            # Before the models run, which may change a mask in place.
            labels = same_inputs(*columns)
        first = self.model1(columns[0])["sentence_embedding"]
        second = self.model(columns[1])["sentence_embedding"]
        scores = torch.linalg.vecdot(first, second)
        alike = labels_per_row(self, labels, len(scores), "1 for equal inputs and 0 for others")
        return self.criterion(scores, alike.to(scores))

    def get_config_dict(self) -> dict[str, Any]:
        return {}


class ContrastiveTensionLossInBatchNegatives(TwoModelsLoss):
    """Cross entropy, both ways, between two copies of a model over the texts of a batch.

    An independent copy of the model embeds the texts, and the model embeds them too; a text has to find
    itself among those of the other. Both train, and so does the scale. Larger batches usually train better.

    Args:
        model: the model to train.
        scale: what similarities are multiplied with at the start; take 1 for dot products.
        similarity_fct: similarities of all rows of one tensor ``[n, d]`` with all of another: ``[n, n]``.

    References:
        - Carlsson et al., "Semantic Re-Tuning with Contrastive Tension", ICLR 2021:
          https://openreview.net/pdf?id=Ov_sMNau-PF
        - Radford et al., "CLIP" (the symmetric loss and its learned scale): https://arxiv.org/abs/2103.00020

    Requirements:
        1. Texts of which no two in a batch are equal.

    Inputs:
        +----------+---------+
        | Inputs   | Labels  |
        +==========+=========+
        | input    | none    |
        +----------+---------+

    Relations:
        - :class:`ContrastiveTensionLoss` takes negatives from given pairs only.
        - :class:`MultipleNegativesRankingLoss` over pairs of a text with itself, as SimCSE does, needs one
          model.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("sentence-transformers/all-MiniLM-L6-v2")
            data = Dataset.from_dict({"text": ["A dog runs.", "Rain falls.", "He reads a book."]})
            loss = losses.ContrastiveTensionLossInBatchNegatives(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidOption: a scale that is not positive.
        InvalidInput: no column of inputs.
    """

    def __init__(self, model: nn.Module, scale: float = 20.0, similarity_fct: Metric = cos_sim) -> None:
        super().__init__(model)
        if scale <= 0:
            raise InvalidOption(f"scale is {scale}; it has to be positive, as its logarithm is learned")
        self.similarity_fct = similarity_fct
        self.logit_scale = nn.Parameter(torch.tensor(math.log(scale)))

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch of one column; labels are not looked at."""
        columns = list(sentence_features)
        check_columns(self, columns, 1, "the texts")
        first = self.model1(dict(columns[0]))["sentence_embedding"]
        second = self.model(dict(columns[0]))["sentence_embedding"]
        scores = self.similarity_fct(first, second) * self.logit_scale.exp()
        itself = torch.arange(len(scores), device=scores.device)
        return (F.cross_entropy(scores, itself) + F.cross_entropy(scores.T, itself)) / 2

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "scale": self.logit_scale.exp().item(),
            "similarity_fct": similarity_fct_name(self.similarity_fct),
        }


class ContrastiveTensionDataLoader:
    """Batches of pairs for :class:`ContrastiveTensionLoss`: one of a text with itself, then others.

    Iterating shuffles the texts with the state of ``random`` and takes each at most once; texts that do not
    fill a last batch are left out.

    Args:
        sentences: the texts; the list itself stays as it is.
        batch_size: pairs in a batch.
        pos_neg_ratio: one pair in so many is of a text with itself.

    Raises:
        InvalidOption: ``batch_size`` is no multiple of ``pos_neg_ratio``, or one of them is not positive.
    """

    def __init__(self, sentences: Iterable[str], batch_size: int, pos_neg_ratio: int = 8) -> None:
        refuse_text(sentences=sentences)
        if batch_size < 1 or pos_neg_ratio < 1 or batch_size % pos_neg_ratio:
            raise InvalidOption(
                f"batch_size is {batch_size} and pos_neg_ratio {pos_neg_ratio}; the batch size has to be "
                "a multiple of the ratio, and both positive"
            )
        self.sentences = list(sentences)
        self.batch_size = batch_size
        self.pos_neg_ratio = pos_neg_ratio
        # Set by whoever trains, to make features of the examples.
        self.collate_fn: Callable[[list[InputExample]], Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        # Shuffled again and again: the order of an epoch follows from that of the one before.
        random.shuffle(self.sentences)
        texts = iter(self.sentences)
        for _ in range(len(self)):
            batch = [self._pair(place, texts) for place in range(self.batch_size)]
            yield batch if self.collate_fn is None else self.collate_fn(batch)

    def __len__(self) -> int:
        texts_per_batch = 2 * self.batch_size - self.batch_size // self.pos_neg_ratio
        return len(self.sentences) // texts_per_batch

    def _pair(self, place: int, texts: Iterator[str]) -> InputExample:
        text = next(texts)
        if place % self.pos_neg_ratio == 0:
            return InputExample(texts=[text, text], label=1)
        return InputExample(texts=[text, next(texts)], label=0)
