"""The positive of a query against all documents of the batch, by late interaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from stlib.base.losses.feature_rows import Features
from stlib.base.losses.in_parts import sum_in_parts
from stlib.errors import InvalidOption
from stlib.multi_vector_encoder.losses.columns import Scoring, Tokens, TokensLoss, stack_columns
from stlib.multi_vector_encoder.scoring import colbert_scores
from stlib.util.distributed import all_gather_padded, get_rank
from stlib.util.misc import similarity_fct_name


class MultiVectorMultipleNegativesRankingLoss(TokensLoss):
    r"""Cross entropy of finding the positive of a query among all documents of the batch.

    With scores :math:`s_{ij}` of query i and document j, the loss of query i is
    :math:`-\log (e^{c s_{ii}} / \sum_j e^{c s_{ij}})`, where c is ``scale``. Documents are the positives and
    hard negatives of all rows; a score is the sum, over the query's tokens, of the best match in a document.

    Args:
        model: the ``MultiVectorEncoder`` to train.
        scale: factor of the scores, the inverse of a temperature. Such a sum grows with the query's tokens,
            so 1 is enough, unlike for cosines; for means (``mean_colbert_scores``) take about the number of
            a query's tokens.
        similarity_fct: ``(queries [n, s, d], documents [m, k, t, d], queries_mask=, documents_mask=)`` to
            ``[n, m * k]``, the documents of a row beside each other. Default: ``colbert_scores``; another is
            ``XTRScores``.
        mini_batch_size: documents embedded at a time, each part as wide as its own longest; the result is the
            same. All parts stay alive for the way back: see the cached form to save memory.
        score_mini_batch_size: queries scored at a time, which bounds the memory of token similarities.
        gather_across_devices: use the documents of all processes as negatives.

    Raises:
        InvalidOption: an option has no meaning.
        InvalidInput: fewer than two columns.

    References:
        - Henderson et al., "Efficient Natural Language Response Suggestion for Smart Reply", arXiv:1705.00652
        - Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late
          Interaction over BERT", arXiv:2004.12832

    Inputs:
        ====================================  ======
        Columns                               Labels
        ====================================  ======
        (query, positive)                     none
        (query, positive, negative)           none
        (query, positive, negative_1, …)      none
        ====================================  ======

        Every row of a batch is taken for a negative of the others: batches should not hold a text twice,
        which ``batch_sampler="no_duplicates"`` sees to.

    Relations:
        - :class:`CachedMultiVectorMultipleNegativesRankingLoss` has the same value and gradient in little
          memory.
        - ``MultipleNegativesRankingLoss`` is that of models with one vector per text.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "positive": ["sorted() returns a sorted list.", "Goethe wrote Faust."],
        })
        loss = losses.MultiVectorMultipleNegativesRankingLoss(model)
        MultiVectorEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        *,
        scale: float = 1.0,
        similarity_fct: Scoring | None = None,
        mini_batch_size: int | None = None,
        score_mini_batch_size: int | None = None,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__(model, similarity_fct or colbert_scores, mini_batch_size)
        if not scale > 0:
            raise InvalidOption(f"scale is {scale}; it must be positive")
        if score_mini_batch_size is not None and score_mini_batch_size < 1:
            raise InvalidOption(f"score_mini_batch_size is {score_mini_batch_size}; give 1 or more, or None")
        self.scale = scale
        self.score_mini_batch_size = score_mini_batch_size
        self.gather_across_devices = gather_across_devices

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        queries, documents = self.embed(sentence_features, 2, "a query, its positive and any negatives")
        return self.loss_of(queries, documents)

    def loss_of(self, queries: Tokens, documents: Sequence[Tokens], **options: Any) -> Tensor:
        """Mean loss of the queries ``[n, s, d]``, of which some are scored at a time.

        Args:
            documents: columns ``[n, t, d]``: the positives, then negatives.
            options: of :func:`~stlib.base.losses.in_parts.sum_in_parts`.
        """
        if self.gather_across_devices:
            documents = [Tokens(*all_gather_padded(*column, with_grad=True)) for column in documents]
        vectors, mask = stack_columns(documents)
        rows, columns = len(queries.vectors), len(documents)
        first = get_rank() * rows if self.gather_across_devices else 0

        def part(embeddings: list[Tensor], begin: int, end: int) -> Tensor:
            asked = Tokens(embeddings[0][begin:end], queries.mask[begin:end])
            scores = self.score(asked, Tokens(embeddings[1], mask)) * self.scale
            positives = torch.arange(first + begin, first + end, device=scores.device) * columns
            return cross_entropy(scores, positives, reduction="sum") / rows

        step = self.score_mini_batch_size or rows
        return sum_in_parts([queries.vectors, vectors], part, rows, step, **options)

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "similarity_fct": similarity_fct_name(self.similarity_fct),
            "mini_batch_size": self.mini_batch_size,
            "score_mini_batch_size": self.score_mini_batch_size,
            "gather_across_devices": self.gather_across_devices,
        }

    @property
    def citation(self) -> str:
        return """
@misc{henderson2017efficient,
    title={Efficient Natural Language Response Suggestion for Smart Reply},
    author={Matthew Henderson and Rami Al-Rfou and Brian Strope and Yun-hsuan Sung and Laszlo Lukacs
      and Ruiqi Guo and Sanjiv Kumar and Balint Miklos and Ray Kurzweil},
    year={2017},
    eprint={1705.00652},
    archivePrefix={arXiv},
    primaryClass={cs.CL}
}
"""
