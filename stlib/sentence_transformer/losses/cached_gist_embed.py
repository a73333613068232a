"""Guided choice of negatives over a large batch, embedded in mini-batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from stlib.base.losses.checks import check_model
from stlib.base.losses.feature_rows import check_mini_batches, take_rows
from stlib.base.losses.gradcache import CachedLossMixin, RandContext, refuse_static_embedding
from stlib.errors import InvalidInput
from stlib.sentence_transformer.losses.gist_embed import GISTEmbedLoss


class CachedGISTEmbedLoss(CachedLossMixin, GISTEmbedLoss):
    """``GISTEmbedLoss`` in the memory of a mini-batch, for batches of thousands of rows.

    Value and gradients are the same; the model embeds all inputs twice, the guide once. How it works:
    :mod:`stlib.base.losses.gradcache`.

    Args:
        model, guide, temperature, margin_strategy, margin, contrast_anchors, contrast_positives,
            gather_across_devices: see ``GISTEmbedLoss``.
        mini_batch_size: inputs embedded at a time, and anchors scored at a time. It decides on memory and
            speed, not on the result.
        mini_batch_num_tokens: tokens embedded at a time, instead.
        show_progress_bar: over mini-batches.

    Raises:
        InvalidOption: an option has no meaning, or the model starts with a ``StaticEmbedding``.

    References:
        - Solatorio, "GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding
          Fine-tuning", arXiv:2402.16829
        - Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup",
          arXiv:2101.06983

    Inputs:
        ====================================  ======
        Columns                               Labels
        ====================================  ======
        (anchor, positive)                    none
        (anchor, positive, negative)          none
        (anchor, positive, negative_1, …)     none
        ====================================  ======

    Relations:
        - ``GISTEmbedLoss`` is the plain form.
        - ``CachedMultipleNegativesRankingLoss`` takes all rows for negatives and needs no guide.

    Example::

        guide = SentenceTransformer("all-MiniLM-L6-v2")
        loss = losses.CachedGISTEmbedLoss(model, guide, mini_batch_size=64)
    """

    def __init__(
        self,
        model: Any,
        guide: Any,
        temperature: float = 0.01,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        show_progress_bar: bool = False,
        margin_strategy: Literal["absolute", "relative"] = "absolute",
        margin: float = 0.0,
        contrast_anchors: bool = True,
        contrast_positives: bool = True,
        gather_across_devices: bool = False,
    ) -> None:
        check_model(self, model)
        refuse_static_embedding(model, type(self).__name__, "MultipleNegativesRankingLoss")
        check_mini_batches(mini_batch_size, mini_batch_num_tokens)
        super().__init__(
            model,
            guide,
            temperature=temperature,
            margin_strategy=margin_strategy,
            margin=margin,
            contrast_anchors=contrast_anchors,
            contrast_positives=contrast_positives,
            gather_across_devices=gather_across_devices,
        )
        self.mini_batch_size = mini_batch_size
        self.mini_batch_num_tokens = mini_batch_num_tokens
        self.show_progress_bar = show_progress_bar

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        embedded = self.embed_first(sentence_features)
        return self.connect(embedded, [[guided for (guided,) in column] for column in embedded.extras])

    def embed_minibatch(
        self,
        sentence_feature: dict[str, Any],
        begin: int,
        end: int,
        with_grad: bool,
        copy_random_state: bool,
        random_state: RandContext | None = None,
    ) -> tuple[Tensor, Tensor | None, RandContext | None]:
        """Embeddings by the model and, in the first pass, by the guide, and the random state before."""
        reps, state = super().embed_minibatch(
            sentence_feature, begin, end, with_grad, copy_random_state, random_state
        )
        if with_grad:
            return reps, None, state
        with torch.no_grad():
            part = self._prepare(take_rows(sentence_feature, begin, end))
            return reps, self.guide(part)["sentence_embedding"], state

    def calculate_loss_and_cache_gradients(
        self, reps: list[list[Tensor]], reps_guided: list[list[Tensor]]
    ) -> tuple[Tensor, list[list[Tensor | None]]]:
        """The loss as a leaf, and its gradients with respect to ``reps``."""
        loss = self.calculate_loss(reps, reps_guided, with_backward=True).detach().requires_grad_()
        return loss, [[rep.grad for rep in column] for column in reps]

    def calculate_loss(
        self, reps: list[list[Tensor]], reps_guided: Any = None, *, with_backward: bool = False
    ) -> Tensor:
        """The loss from embeddings by model and guide, each per column and mini-batch.

        Raises:
            InvalidInput: the guide embedded other columns than the model.
        """
        if len(reps) != len(reps_guided or ()):
            raise InvalidInput(
                f"there are {len(reps)} columns of embeddings and {len(reps_guided or ())} of the guide; "
                "pass reps_guided for the same columns"
            )
        return self._loss_in_parts(
            [torch.cat(column) for column in reps],
            [torch.cat(column) for column in reps_guided],
            step=self.mini_batch_size,
            with_backward=with_backward,
            show_progress_bar=self.show_progress_bar,
        )

    def get_config_dict(self) -> dict[str, Any]:
        return {
            **super().get_config_dict(),
            "mini_batch_size": self.mini_batch_size,
            "mini_batch_num_tokens": self.mini_batch_num_tokens,
        }
