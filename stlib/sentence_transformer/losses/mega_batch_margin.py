"""Margins to the positive and to the hardest negative of a large batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.feature_rows import check_mini_batches
from stlib.base.losses.gradcache import CachedLossMixin, refuse_static_embedding
from stlib.base.losses.in_parts import sum_in_parts
from stlib.base.losses.merged_forward import embed_columns
from stlib.errors import InvalidInput
from stlib.util.similarity import cos_sim


class MegaBatchMarginLoss(CachedLossMixin, nn.Module):
    """For each anchor, the cosine to its positive above one margin and to the most similar other positive
    below another: ``relu(positive_margin - s_p) + relu(s_n - negative_margin)``, averaged.

    The larger the batch, the harder its hardest negative; several hundred rows are a good start.

    Args:
        model: the model to train.
        positive_margin: cosine that is enough for a pair.
        negative_margin: cosine that is little enough for a negative.
        use_mini_batched_version: embed in mini-batches with cached gradients, which keeps memory small; see
            :mod:`stlib.base.losses.gradcache`. Value and gradients are the same.
        mini_batch_size: inputs embedded at a time in that version, and anchors scored at a time.
        mini_batch_num_tokens: tokens embedded at a time, instead.
        show_progress_bar: over mini-batches.

    Raises:
        InvalidOption: a size is not positive, or mini-batches are asked for of a ``StaticEmbedding``.

    References:
        - Wieting and Gimpel, "ParaNMT-50M: Pushing the Limits of Paraphrastic Sentence Embeddings with
          Millions of Machine Translations", https://aclanthology.org/P18-1042

    Inputs:
        ``(anchor, positive)`` pairs, without labels. Every other positive of a batch is a possible negative.

    Relations:
        - ``MultipleNegativesRankingLoss`` learns from all negatives of a batch at once.

    Example::

        loss = losses.MegaBatchMarginLoss(model, mini_batch_size=64)
        args = SentenceTransformerTrainingArguments("out", per_device_train_batch_size=512)
    """

    def __init__(
        self,
        model: Any,
        positive_margin: float = 0.8,
        negative_margin: float = 0.3,
        use_mini_batched_version: bool = True,
        mini_batch_size: int = 50,
        mini_batch_num_tokens: int | None = None,
        show_progress_bar: bool = False,
    ) -> None:
        super().__init__()
        check_model(self, model)
        if use_mini_batched_version:
            refuse_static_embedding(
                model, "MegaBatchMarginLoss in mini-batches", "use_mini_batched_version=False"
            )
        check_mini_batches(mini_batch_size, mini_batch_num_tokens)
        self.model = model
        self.positive_margin = positive_margin
        self.negative_margin = negative_margin
        self.mini_batch_size = mini_batch_size
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.show_progress_bar = show_progress_bar
        self.uses_gradient_cache = use_mini_batched_version

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        if self.uses_gradient_cache:
            return self.forward_mini_batched(sentence_features, labels)
        return self.forward_non_mini_batched(sentence_features, labels)

    def forward_mini_batched(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> Tensor:
        """The loss with cached gradients."""
        return self.forward_cached(_pairs(sentence_features), labels)

    def forward_non_mini_batched(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> Tensor:
        """The loss with one graph for the whole batch."""
        embeddings = embed_columns(self.model, _pairs(sentence_features))
        return self._loss_in_parts(embeddings, step=len(embeddings[0]))

    def calculate_loss(
        self, reps: list[list[Tensor]], labels: Tensor | None = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from embeddings per column and mini-batch; see :class:`CachedLossMixin`."""
        return self._loss_in_parts(
            [torch.cat(column) for column in reps],
            step=self.mini_batch_size,
            with_backward=with_backward,
            show_progress_bar=self.show_progress_bar,
        )

    def _loss_in_parts(self, embeddings: list[Tensor], step: int, **options: Any) -> Tensor:
        rows = len(embeddings[0])

        def part(columns: list[Tensor], begin: int, end: int) -> Tensor:
            return self._losses(columns[0], columns[1], begin, end).sum() / rows

        return sum_in_parts(embeddings, part, rows, step, **options)

    def _losses(self, anchors: Tensor, positives: Tensor, begin: int, end: int) -> Tensor:
        """Loss of each of some anchors: ``[end - begin]``."""
        cosines = cos_sim(anchors[begin:end], positives)
        own = torch.arange(begin, end, device=cosines.device).unsqueeze(1)
        positive = cosines.gather(1, own).squeeze(1)
        # The only row of a batch has no negative: minus infinity is below any margin.
        hardest = cosines.scatter(1, own, -torch.inf).amax(dim=1)
        return torch.relu(self.positive_margin - positive) + torch.relu(hardest - self.negative_margin)

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "positive_margin": self.positive_margin,
            "negative_margin": self.negative_margin,
            "mini_batch_size": self.mini_batch_size,
            "mini_batch_num_tokens": self.mini_batch_num_tokens,
        }

    @property
    def citation(self) -> str:
        return """
@inproceedings{wieting-gimpel-2018-paranmt,
    title = "{P}ara{NMT}-50{M}: Pushing the Limits of Paraphrastic Sentence Embeddings with Millions of
        Machine Translations",
    author = "Wieting, John and Gimpel, Kevin",
    editor = "Gurevych, Iryna and Miyao, Yusuke",
    booktitle = "Proceedings of the 56th Annual Meeting of the Association for Computational Linguistics
        (Volume 1: Long Papers)",
    month = jul,
    year = "2018",
    address = "Melbourne, Australia",
    publisher = "Association for Computational Linguistics",
    url = "https://aclanthology.org/P18-1042",
    doi = "10.18653/v1/P18-1042",
    pages = "451--462",
}
"""


def _pairs(sentence_features: Iterable[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
    columns = list(sentence_features)
    if len(columns) != 2:
        raise InvalidInput(
            f"MegaBatchMarginLoss takes two columns, (anchor, positive), and got {len(columns)}: it finds "
            "negatives in the batch; for given ones use CachedMultipleNegativesRankingLoss"
        )
    return columns
