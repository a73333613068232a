"""Reproduce a teacher's distribution over the candidates of a query."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from stlib.errors import InvalidInput, InvalidOption
from stlib.sentence_transformer.losses.columns import ColumnsLoss, Metric, require_labels
from stlib.util.misc import check_teacher_targets, similarity_fct_name
from stlib.util.similarity import pairwise_dot_score


class DistillKLDivLoss(ColumnsLoss):
    """``T_s² · KL(softmax(teacher / T_t) ‖ softmax(student / T_s))`` over candidates, mean over queries.

    Args:
        model: the student.
        similarity_fct: the student's score of row i of one tensor ``[n, d]`` with row i of another: ``[n]``.
        temperature: what both sides' scores are divided by; above 1 it softens the distributions.
        student_temperature: the student's, if it differs. Its square scales the loss, which keeps gradients
            alike between temperatures of 1 and above; far below 1 the loss fades.
        teacher_temperature: the teacher's, if it differs. Fit it to the spread of the teacher's scores: a
            candidate that is more than about 100 temperatures behind the best counts exactly zero.

    References:
        - Lin, Yang and Lin, "Distilling Dense Representations for Ranking using Tightly-Coupled Teachers":
          https://arxiv.org/abs/2010.11386
        - Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network" (the squared temperature):
          https://arxiv.org/abs/1503.02531

    Requirements:
        1. (query, positive, negative_1, ..., negative_n) with at least one negative.
        2. Scores of the teacher for the query with each of them.

    Inputs:
        +---------------------------------------------+--------------------------------------------+
        | Inputs                                      | Labels, with scores t of the teacher       |
        +=============================================+============================================+
        | (query, positive, negative)                 | [t_pos, t_neg]                             |
        +---------------------------------------------+--------------------------------------------+
        | (query, positive, negative_1, ..., neg._n)  | [t_pos, t_1, ..., t_n]                     |
        +---------------------------------------------+--------------------------------------------+

    Relations:
        - :class:`MarginMSELoss` takes the same data and fits differences of scores.

    Example:
        ::

            from datasets import Dataset
            from stlib import SentenceTransformer, SentenceTransformerTrainer, losses

            student = SentenceTransformer("microsoft/mpnet-base")
            data = Dataset.from_dict({
                "query": ["how to cook rice", "who wrote faust"],
                "positive": ["Boil it in twice as much water.", "Goethe wrote Faust."],
                "negative": ["Rice grows in fields under water.", "Marlowe wrote Doctor Faustus."],
                "label": [[9.1, -2.3], [8.4, 3.0]],
            })
            loss = losses.DistillKLDivLoss(student, teacher_temperature=2.0)
            SentenceTransformerTrainer(model=student, train_dataset=data, loss=loss).train()

    Raises:
        InvalidOption: a temperature that is not positive and finite.
        InvalidInput: fewer than three columns, labels of another shape, or not-a-number among the first ones.
    """

    def __init__(
        self,
        model: nn.Module,
        similarity_fct: Metric = pairwise_dot_score,
        temperature: float = 1.0,
        student_temperature: float | None = None,
        teacher_temperature: float | None = None,
    ) -> None:
        super().__init__(model)
        self.similarity_fct = similarity_fct
        self.temperature = temperature
        self.student_temperature = temperature if student_temperature is None else student_temperature
        self.teacher_temperature = temperature if teacher_temperature is None else teacher_temperature
        for name in ("temperature", "student_temperature", "teacher_temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidOption(f"{name} is {getattr(self, name)}; it has to be positive and finite")
        self.loss_fct = nn.KLDivLoss(reduction="batchmean")
        self._checked_teacher = False

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of tensors ``[n, d]`` (query, k candidates) and the teacher's scores ``[n, k]``."""
        teacher = self._teacher_scores(embeddings, labels)
        query, *candidates = embeddings
        student = torch.stack([self.similarity_fct(query, candidate) for candidate in candidates], dim=1)
        log_probabilities = torch.log_softmax(student / self.student_temperature, dim=1)
        targets = torch.softmax(teacher / self.teacher_temperature, dim=1)
        if not self._checked_teacher:
            self._checked_teacher = True
            check_teacher_targets(targets, teacher, self.teacher_temperature, type(self).__name__)
        return self.loss_fct(log_probabilities, targets) * self.student_temperature**2

    def _teacher_scores(self, embeddings: list[Tensor], labels: Tensor | None) -> Tensor:
        if len(embeddings) < 3:
            raise InvalidInput(
                f"{type(self).__name__} got {len(embeddings)} column(s) of inputs and needs at least 3: a "
                "query and two candidates, as one candidate alone always has probability 1"
            )
        labels = require_labels(self, labels, "the teacher's scores, one per candidate")
        expected = (len(embeddings[0]), len(embeddings) - 1)
        if labels.shape != expected:
            raise InvalidInput(
                f"{type(self).__name__} takes a teacher's score for each candidate, a tensor of shape "
                f"{expected}; got {tuple(labels.shape)}"
            )
        return labels.detach()

    def get_config_dict(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "similarity_fct": similarity_fct_name(self.similarity_fct),
            "temperature": self.temperature,
        }
        for name in ("student_temperature", "teacher_temperature"):
            if getattr(self, name) != self.temperature:
                config[name] = getattr(self, name)
        return config

    @property
    def citation(self) -> str:
        return """
@misc{lin2020distillingdenserepresentationsranking,
    title={Distilling Dense Representations for Ranking using Tightly-Coupled Teachers},
    author={Sheng-Chieh Lin and Jheng-Hong Yang and Jimmy Lin},
    year={2020},
    eprint={2010.11386},
    archivePrefix={arXiv},
    primaryClass={cs.IR},
    url={https://arxiv.org/abs/2010.11386},
}
"""
