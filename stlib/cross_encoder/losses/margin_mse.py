"""Reproduce the margins between a teacher's scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from stlib.base.losses.checks import require_columns, teacher_margins
from stlib.base.losses.citations import MARGIN_MSE
from stlib.cross_encoder.losses.pairs import PairsLoss, as_tensor


class MarginMSELoss(PairsLoss):
    """Mean squared error of ``s(query, positive) - s(query, negative_i)`` against the teacher's margin.

    Both documents may be relevant, or neither: only the difference that the teacher sees is learned, and the
    level of the scores stays free.

    Args:
        model: the model to train, the student; it has one output label.
        activation_fn: applied to the logits first. If the teacher's scores went through a sigmoid, let the
            student's do so too.
        kwargs: further keywords of :class:`torch.nn.MSELoss`.

    Raises:
        InvalidOption: the model is no ``CrossEncoder``, or has several labels.
        InvalidInput: when called with fewer than three columns, or labels of another shape than those below.

    References:
        - Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge
          Distillation", arXiv:2010.02666

    Inputs:
        ==============================================  ====================================  ================
        Columns                                         Labels, with scores t of the teacher  Model's labels
        ==============================================  ====================================  ================
        (query, document_1, document_2)                 t_1 - t_2                             1
        (query, document_1, document_2)                 [t_1, t_2]                            1
        (query, positive, negative_1, …, negative_n)    [t_pos - t_1, …, t_pos - t_n]         1
        (query, positive, negative_1, …, negative_n)    [t_pos, t_1, …, t_n]                  1
        ==============================================  ====================================  ================

    Relations:
        - :class:`MSELoss` reaches the scores themselves.
        - :class:`MultipleNegativesRankingLoss` takes the same columns, without a teacher.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["How do I sort a list?", "Who wrote Faust?"],
            "positive": ["sorted() returns a sorted list.", "Goethe wrote Faust."],
            "negative": ["A list keeps its order.", "Marlowe wrote Doctor Faustus."],
        })

        def margins(rows):
            positive = teacher.predict(list(zip(rows["query"], rows["positive"])))
            negative = teacher.predict(list(zip(rows["query"], rows["negative"])))
            return {"label": positive - negative}

        train_dataset = train_dataset.map(margins, batched=True)
        loss = losses.MarginMSELoss(student)
        CrossEncoderTrainer(model=student, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        activation_fn: nn.Module = nn.Identity(),  # noqa: B008 - without state
        **kwargs: Any,
    ) -> None:
        super().__init__(model, activation_fn)
        self.loss_fct = nn.MSELoss(**kwargs)

    def forward(
        self,
        inputs: list[Any],
        labels: Tensor | list[Tensor] | None = None,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of columns of n texts (query, positive, k negatives), and margins ``[n, k]`` or scores
        ``[n, k + 1]``.
        """
        require_columns(self, inputs, 3, "query, positive and at least one negative")
        queries, *documents = inputs
        margins = teacher_margins(self, as_tensor(self, labels), len(queries), len(documents) - 1)
        positive, *negatives = [
            self.logits_from_pairs(list(zip(queries, column, strict=True)), prompt, task)
            for column in documents
        ]
        ours = positive.unsqueeze(1) - torch.stack(negatives, dim=1)
        return self.loss_fct(ours, margins.to(ours.device).float())

    def logits_from_pairs(
        self, pairs: list[tuple[Any, Any]], prompt: str | None = None, task: str | None = None
    ) -> Tensor:
        """Activated scores ``[n]`` of n pairs."""
        return self.activation_fn(self.score(pairs, prompt, task).reshape(-1))

    @property
    def citation(self) -> str:
        return MARGIN_MSE
