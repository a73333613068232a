"""Reproduce the margins between a teacher's scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.citations import MARGIN_MSE
from stlib.sentence_transformer.losses.columns import ColumnsLoss, Metric, require_columns, teacher_margins
from stlib.util.misc import similarity_fct_name
from stlib.util.similarity import pairwise_dot_score


class MarginMSELoss(ColumnsLoss):
    """Mean squared error of ``s(query, positive) - s(query, negative_i)`` against the teacher's margin.

    Both documents may be relevant, or neither: only the difference that the teacher sees is learned.

    Args:
        model: the model to train.
        similarity_fct: similarity of row i of one tensor ``[n, d]`` with row i of another: ``[n]``. Default:
            the dot product, whose range is open as that of a teacher's scores.

    References:
        - Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
          Distillation": https://arxiv.org/abs/2010.02666

    Requirements:
        1. (query, positive, negative) triplets or longer tuples.
        2. Scores of a teacher, usually a cross-encoder, for all of them.

    Inputs:
        +-----------------------------------------------+---------------------------------------------+
        | Inputs                                        | Labels, with scores t of the teacher        |
        +===============================================+=============================================+
        | (query, positive, negative)                   | t_pos - t_neg                               |
        +-----------------------------------------------+---------------------------------------------+
        | (query, positive, negative)                   | [t_pos, t_neg]                              |
        +-----------------------------------------------+---------------------------------------------+
        | (query, positive, negative_1, ..., neg._n)    | [t_pos - t_1, ..., t_pos - t_n]             |
        +-----------------------------------------------+---------------------------------------------+
        | (query, positive, negative_1, ..., neg._n)    | [t_pos, t_1, ..., t_n]                      |
        +-----------------------------------------------+---------------------------------------------+

    Relations:
        - :class:`DistillKLDivLoss` takes the same data and fits the distribution over the documents.
        - :class:`MSELoss` fits embeddings of a teacher instead of its scores.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            model = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "query": ["how to cook rice", "who wrote faust"],
                "positive": ["Boil it in twice as much water.", "Goethe wrote Faust."],
                "negative": ["Rice grows in fields under water.", "Marlowe wrote Doctor Faustus."],
                "label": [[9.1, -2.3], [8.4, 3.0]],
            })
            loss = losses.MarginMSELoss(model)
            SentenceTransformerTrainer(model=model, train_dataset=data, loss=loss).train()

    Raises:
        InvalidInput: fewer than three columns, or labels of another shape than those above.
    """

    def __init__(self, model: nn.Module, similarity_fct: Metric = pairwise_dot_score) -> None:
        super().__init__(model)
        self.similarity_fct = similarity_fct
        self.loss_fct = nn.MSELoss()

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of tensors ``[n, d]`` (query, positive, k negatives) and margins ``[n, k]`` or scores
        ``[n, k + 1]``.
        """
        require_columns(self, embeddings, 3, "query, positive and at least one negative")
        query, positive, *negatives = embeddings
        wanted = teacher_margins(self, labels, len(query), len(negatives))
        score = self.similarity_fct(query, positive)
        margins = torch.stack([score - self.similarity_fct(query, other) for other in negatives], dim=1)
        return self.loss_fct(margins, wanted)

    def get_config_dict(self) -> dict[str, Any]:
        return {"similarity_fct": similarity_fct_name(self.similarity_fct)}

    @property
    def citation(self) -> str:
        return MARGIN_MSE
