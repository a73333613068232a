"""Positives against the other rows of the batch, without negatives that a guide takes for positives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import check_model
from stlib.base.losses.in_parts import sum_in_parts
from stlib.base.losses.merged_forward import embed_columns
from stlib.errors import InvalidOption
from stlib.sentence_transformer.losses.in_batch import Batch
from stlib.util.similarity import cos_sim
from stlib.util.tensor import batch_to_device, normalize_embeddings

# Products of two vectors that the guide's similarities are summed from at a time.
_GUIDE_BLOCK = 2**22


class GISTEmbedLoss(nn.Module):
    """Cross entropy of finding the positive among the rows of the batch that a guide finds less similar.

    A frozen guide embeds the batch too. A row that it finds more similar to the anchor than the positive is
    likely a positive that nobody labelled; such pairs are left out. What is left is an InfoNCE loss.

    Args:
        model: the model to train.
        guide: a model that is good already; it is not trained. If its tokenizer differs, or it reads fewer
            tokens, the texts are decoded and prepared for it.
        temperature: divides the similarities; 0.01 as published.
        margin_strategy: ``"absolute"`` leaves out what is more similar than the positive less ``margin``;
            ``"relative"``, more similar than the positive less ``margin`` times its similarity.
        margin: see ``margin_strategy``; 0 leaves out what is more similar than the positive itself.
        contrast_anchors: anchors of other rows are negatives too.
        contrast_positives: positives of other rows are negatives of the positive too. False can be better for
            retrieval, where anchors and positives are of different kinds.
        gather_across_devices: use the positives and hard negatives of all processes.

    Raises:
        InvalidOption: an option has no meaning, or a model has no tokenizer of transformers.

    References:
        - Solatorio, "GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding
          Fine-tuning", arXiv:2402.16829
        - margins: Moreira et al., "NV-Retriever", arXiv:2407.15831

    Inputs:
        ====================================  ======
        Columns                               Labels
        ====================================  ======
        (anchor, positive)                    none
        (anchor, positive, negative)          none
        (anchor, positive, negative_1, …)     none
        ====================================  ======

    Relations:
        - ``MultipleNegativesRankingLoss`` takes all rows for negatives and needs no guide.
        - ``CachedGISTEmbedLoss`` has the same value and gradient in the memory of a mini-batch.

    Example::

        guide = SentenceTransformer("all-MiniLM-L6-v2")
        loss = losses.GISTEmbedLoss(model, guide)
    """

    def __init__(
        self,
        model: Any,
        guide: Any,
        temperature: float = 0.01,
        margin_strategy: Literal["absolute", "relative"] = "absolute",
        margin: float = 0.0,
        contrast_anchors: bool = True,
        contrast_positives: bool = True,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__()
        check_model(self, model)
        check_model(self, guide, "guide")
        if margin_strategy not in ("absolute", "relative"):
            raise InvalidOption(f"margin_strategy is {margin_strategy!r}; use 'absolute' or 'relative'")
        _check_tokenizer(model, "model")
        _check_tokenizer(guide, "guide")
        self.model = model
        self.guide = guide
        self.temperature = temperature
        self.margin_strategy = margin_strategy
        self.margin = margin
        self.contrast_anchors = contrast_anchors
        self.contrast_positives = contrast_positives
        self.gather_across_devices = gather_across_devices
        self.tokenizer = model.tokenizer
        self.must_retokenize = self.tokenizer.get_vocab() != guide.tokenizer.get_vocab() or _reads_fewer(
            guide, model
        )

    def sim_matrix(self, embed1: Tensor, embed2: Tensor) -> Tensor:
        """Cosines ``[n, m]`` of embeddings ``[n, d]`` and ``[m, d]``."""
        return cos_sim(embed1, embed2)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        columns = list(sentence_features)
        for_guide = [dict(column) for column in columns]  # which the model is about to fill
        embeddings = embed_columns(self.model, columns)
        with torch.no_grad():
            guided = embed_columns(self.guide, [self._prepare(column) for column in for_guide])
        return self._loss_in_parts(embeddings, guided, step=len(embeddings[0]))

    def _prepare(self, features: dict[str, Any]) -> dict[str, Any]:
        """Features as the guide reads them."""
        if not self.must_retokenize:
            return dict(features)
        ids = features["input_ids"]
        if "cu_seq_lens_q" in features:  # laid end to end
            ids = ids[0].tensor_split(features["cu_seq_lens_q"][1:-1].cpu())
        texts = [self.tokenizer.decode(row, skip_special_tokens=True) for row in ids]
        return batch_to_device(self.guide.preprocess(texts), self.guide.device)

    def _loss_in_parts(
        self, embeddings: list[Tensor], guided: list[Tensor], step: int, **options: Any
    ) -> Tensor:
        """Mean loss of the anchors of this process, ``step`` of them at a time."""
        batch, guide = self._batch(embeddings), self._batch(guided)

        def part(columns: list[Tensor], begin: int, end: int) -> Tensor:
            rows = Batch(columns, batch.offset, batch.size)
            return self._losses(rows, guide, begin, end).sum() / batch.size

        return sum_in_parts(batch.columns, part, batch.size, step, **options)

    def _batch(self, embeddings: list[Tensor]) -> Batch:
        """Anchors of this process; positives and hard negatives of all, if asked for."""
        return Batch.of(embeddings, self.gather_across_devices, type(self).__name__, with_anchors=False)

    def _losses(self, batch: Batch, guide: Batch, begin: int, end: int) -> Tensor:
        """Loss of each of some anchors: ``[end - begin]``."""
        positives = batch.own(begin, end).unsqueeze(1)
        scores, threshold = [], torch.empty(0)
        for i, ((left, right), (guide_left, guide_right)) in enumerate(
            zip(self._pairs(batch, begin, end), self._pairs(guide, begin, end), strict=True)
        ):
            similarity, by_guide = self.sim_matrix(left, right), _cosines_alike(guide_left, guide_right)
            if i == 0:
                threshold = self._threshold(by_guide.gather(1, positives))
            left_out = by_guide > threshold
            if i == 0:
                left_out.scatter_(1, positives, False)
            scores.append(similarity.masked_fill(left_out, -torch.inf))
        together = torch.cat(scores, dim=1) / self.temperature
        return nn.functional.cross_entropy(together, positives.squeeze(1), reduction="none")

    def _pairs(self, batch: Batch, begin: int, end: int) -> list[tuple[Tensor, Tensor]]:
        """What is compared for some rows; the first has the positive pairs."""
        anchors, positives, *negatives = batch.columns
        own_anchors = anchors[begin:end]
        pairs = [(own_anchors, positives)]
        if self.contrast_anchors:
            pairs.append((own_anchors, anchors))
        if self.contrast_positives:
            pairs.append((positives[batch.offset + begin : batch.offset + end], positives))
        return pairs + [(own_anchors, column) for column in negatives]

    def _threshold(self, positive: Tensor) -> Tensor:
        """Similarity by the guide above which a pair is left out, from that of the positive."""
        return positive - self.margin * (positive.abs() if self.margin_strategy == "relative" else 1.0)

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "guide": self.guide,
            "temperature": self.temperature,
            "margin_strategy": self.margin_strategy,
            "margin": self.margin,
            "contrast_anchors": self.contrast_anchors,
            "contrast_positives": self.contrast_positives,
            "gather_across_devices": self.gather_across_devices,
        }

    @property
    def citation(self) -> str:
        return """
@misc{solatorio2024gistembed,
    title={GISTEmbed: Guided In-sample Selection of Training Negatives for Text Embedding Fine-tuning},
    author={Aivin V. Solatorio},
    year={2024},
    eprint={2402.16829},
    archivePrefix={arXiv},
    primaryClass={cs.LG}
}
"""


def _cosines_alike(a: Tensor, b: Tensor) -> Tensor:
    """Cosines ``[n, m]``, equal for equal pairs to the last bit.

    A matrix product rounds a pair by its place; here a text that is there twice must not come out more
    similar than itself. Some rows are computed at a time, which bounds the memory.
    """
    a, b = normalize_embeddings(a), normalize_embeddings(b)
    step = max(1, _GUIDE_BLOCK // max(1, b.numel()))
    return torch.cat([(rows.unsqueeze(1) * b).sum(dim=-1) for rows in a.split(step)])


def _check_tokenizer(model: Any, which: str) -> None:
    from transformers import PreTrainedTokenizerBase

    tokenizer = getattr(model, "tokenizer", None)
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise InvalidOption(
            f"the {which} has a tokenizer of type {type(tokenizer).__name__}; texts can be prepared for the "
            "guide with tokenizers of transformers only"
        )


def _reads_fewer(guide: Any, model: Any) -> bool:
    limit, of_model = guide.max_seq_length, model.max_seq_length
    return limit is not None and (of_model is None or limit < of_model)
