"""Reproduce the margins between a teacher's scores, by late interaction."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from stlib.base.losses.checks import teacher_margins
from stlib.base.losses.citations import MARGIN_MSE
from stlib.base.losses.feature_rows import Features
from stlib.multi_vector_encoder.losses.columns import Scoring, TokensLoss
from stlib.multi_vector_encoder.scoring import colbert_scores_pairwise
from stlib.util.misc import similarity_fct_name


class MultiVectorMarginMSELoss(TokensLoss):
    """Mean squared error of ``s(query, positive) - s(query, negative_i)`` against the teacher's margin.

    Both documents may be relevant, or neither: only the difference that the teacher sees is learned.

    Args:
        model: the ``MultiVectorEncoder`` to train.
        similarity_fct: ``(queries [n, s, d], documents [n, t, d], queries_mask=, documents_mask=)`` to the
            scores of row i with row i, ``[n]``. Default: ``colbert_scores_pairwise``; another is
            ``xtr_scores_pairwise``.
        mini_batch_size: documents embedded at a time, each part as wide as its own longest; the result is the
            same.

    Raises:
        InvalidOption: a number of rows that holds none.
        InvalidInput: fewer than three columns, or labels of another shape than those below.

    References:
        - Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
          Distillation", arXiv:2010.02666

    Inputs:
        ===========================================  ================================================
        Columns                                      Labels, with scores t of the teacher
        ===========================================  ================================================
        (query, positive, negative)                  t_pos - t_neg
        (query, positive, negative)                  [t_pos, t_neg]
        (query, positive, negative_1, …)             [t_pos - t_1, …]
        (query, positive, negative_1, …)             [t_pos, t_1, …]
        ===========================================  ================================================

    Relations:
        - :class:`MultiVectorDistillKLDivLoss` takes the same data and fits the distribution over documents.
        - ``MarginMSELoss`` is that of models with one vector per text.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["how to cook rice", "who wrote faust"],
            "positive": ["Boil it in twice as much water.", "Goethe wrote Faust."],
            "negative": ["Rice grows in fields under water.", "Marlowe wrote Doctor Faustus."],
            "label": [[9.1, -2.3], [8.4, 3.0]],
        })
        loss = losses.MultiVectorMarginMSELoss(model)
        MultiVectorEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self, model: Any, *, similarity_fct: Scoring | None = None, mini_batch_size: int | None = None
    ) -> None:
        super().__init__(model, similarity_fct or colbert_scores_pairwise, mini_batch_size)

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        queries, columns = self.embed(sentence_features, 3, "query, positive and at least one negative")
        wanted = teacher_margins(self, labels, len(queries.vectors), len(columns) - 1)
        positive, *negatives = [self.score(queries, column) for column in columns]
        margins = torch.stack([positive - negative for negative in negatives], dim=1)
        return mse_loss(margins, wanted.to(margins.dtype))

    def get_config_dict(self) -> dict[str, Any]:
        return {
            "similarity_fct": similarity_fct_name(self.similarity_fct),
            "mini_batch_size": self.mini_batch_size,
        }

    @property
    def citation(self) -> str:
        return MARGIN_MSE
