"""Reproduce a teacher's distribution over the candidates of a query, by late interaction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import kl_div

from stlib.base.losses.checks import require_labels
from stlib.base.losses.feature_rows import Features
from stlib.errors import InvalidInput, InvalidOption
from stlib.multi_vector_encoder.losses.columns import Scoring, TokensLoss, stack_columns
from stlib.multi_vector_encoder.scoring import colbert_kd_scores
from stlib.util.misc import check_teacher_targets, similarity_fct_name

_TEMPERATURES = ("temperature", "student_temperature", "teacher_temperature")


class MultiVectorDistillKLDivLoss(TokensLoss):
    """``T_s² · KL(softmax(teacher / T_t) ‖ softmax(student / T_s))`` over candidates, mean over queries.

    Args:
        model: the ``MultiVectorEncoder`` to train.
        similarity_fct: ``(queries [n, s, d], documents [n, k, t, d], queries_mask=, documents_mask=)`` to
            ``[n, k]``. Default: ``colbert_kd_scores``; another is ``XTRKDScores``.
        temperature: what both sides' scores are divided by; above 1 it softens the distributions.
        student_temperature: the student's, if it differs. Its square scales the loss, which keeps gradients
            alike between temperatures of 1 and above; far below 1 the loss fades.
        teacher_temperature: the teacher's, if it differs. Fit it to the spread of the teacher's scores: a
            candidate that is more than about 100 temperatures behind the best counts exactly zero.
        mini_batch_size: documents embedded at a time, each part as wide as its own longest; the result is the
            same.

    Raises:
        InvalidOption: a temperature that is not positive and finite, or a number of rows that holds none.
        InvalidInput: fewer than three columns, labels of another shape, or not-a-number among the first ones.

    References:
        - Santhanam et al., "ColBERTv2: Effective and Efficient Retrieval via Lightweight Late Interaction",
          arXiv:2112.01488
        - Lin, Yang and Lin, "Distilling Dense Representations for Ranking using Tightly-Coupled Teachers",
          arXiv:2010.11386

    Inputs:
        ===========================================  ================================================
        Columns                                      Labels, with scores t of the teacher
        ===========================================  ================================================
        (query, document_1, document_2)              [t_1, t_2]
        (query, document_1, …, document_k)           [t_1, …, t_k]
        ===========================================  ================================================

        ``stlib.util.resolve_ids`` makes such columns from rows of ids.

    Relations:
        - :class:`MultiVectorMarginMSELoss` takes the same data and fits differences of scores.
        - ``DistillKLDivLoss`` is that of models with one vector per text.

    Example::

        train_dataset = Dataset.from_dict({
            "query": ["how to cook rice", "who wrote faust"],
            "positive": ["Boil it in twice as much water.", "Goethe wrote Faust."],
            "negative": ["Rice grows in fields under water.", "Marlowe wrote Doctor Faustus."],
            "label": [[9.1, -2.3], [8.4, 3.0]],
        })
        loss = losses.MultiVectorDistillKLDivLoss(model, teacher_temperature=2.0)
        MultiVectorEncoderTrainer(model=model, train_dataset=train_dataset, loss=loss).train()
    """

    def __init__(
        self,
        model: Any,
        *,
        similarity_fct: Scoring | None = None,
        temperature: float = 1.0,
        student_temperature: float | None = None,
        teacher_temperature: float | None = None,
        mini_batch_size: int | None = None,
    ) -> None:
        super().__init__(model, similarity_fct or colbert_kd_scores, mini_batch_size)
        self.temperature = temperature
        self.student_temperature = temperature if student_temperature is None else student_temperature
        self.teacher_temperature = temperature if teacher_temperature is None else teacher_temperature
        for name in _TEMPERATURES:
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidOption(f"{name} is {getattr(self, name)}; it has to be positive and finite")
        self._checked_teacher = False

    def forward(self, sentence_features: Iterable[Features], labels: Tensor | None = None) -> Tensor:
        queries, columns = self.embed(
            sentence_features, 3, "a query and two candidates, as one alone always has probability 1"
        )
        teacher = self._teacher_scores(labels, (len(queries.vectors), len(columns)))
        student = self.score(queries, stack_columns(columns))
        found = torch.log_softmax(student / self.student_temperature, dim=1)
        wanted = torch.softmax(teacher / self.teacher_temperature, dim=1)
        if not self._checked_teacher:
            self._checked_teacher = True
            check_teacher_targets(wanted, teacher, self.teacher_temperature, type(self).__name__)
        return kl_div(found, wanted, reduction="batchmean") * self.student_temperature**2

    def _teacher_scores(self, labels: Tensor | None, expected: tuple[int, int]) -> Tensor:
        given: Tensor = require_labels(self, labels, "the teacher's scores, one per candidate")
        if given.shape != expected:
            raise InvalidInput(
                f"{type(self).__name__} takes a teacher's score for each candidate, a tensor of shape "
                f"{expected}; got {tuple(given.shape)}"
            )
        return given.detach()

    def get_config_dict(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "similarity_fct": similarity_fct_name(self.similarity_fct),
            "temperature": self.temperature,
        }
        for name in _TEMPERATURES[1:]:
            if getattr(self, name) != self.temperature:
                config[name] = getattr(self, name)
        return {**config, "mini_batch_size": self.mini_batch_size}

    @property
    def citation(self) -> str:
        return """
@inproceedings{santhanam-etal-2022-colbertv2,
    title = "ColBERTv2: Effective and Efficient Retrieval via Lightweight Late Interaction",
    author = "Santhanam, Keshav and Khattab, Omar and Saad-Falcon, Jon and Potts, Christopher and
      Zaharia, Matei",
    booktitle = "Proceedings of the 2022 Conference of the North American Chapter of the Association for
      Computational Linguistics: Human Language Technologies",
    year = "2022",
    publisher = "Association for Computational Linguistics",
}
"""
