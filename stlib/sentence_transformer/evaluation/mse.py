"""How far a student's embeddings are from a teacher's."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stlib.base.evaluation.arguments import check_columns, drop_unset
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.errors import InvalidInput, InvalidOption
from stlib.util.exact_search import is_sparse

logger = logging.getLogger(__name__)


def mean_squared_error(teacher: Any, student: Any) -> float:
    """Mean of the squared differences of all components of arrays or sparse tensors ``[n, d]``, times 100.

    Raises:
        InvalidInput: the shapes differ.
    """
    both_sparse = is_sparse(teacher) and is_sparse(student)
    if not both_sparse:
        teacher, student = np.asarray(teacher), np.asarray(student)
    if teacher.shape != student.shape:
        raise InvalidInput(
            f"the teacher's embeddings have {teacher.shape[-1]} dimensions and the student's "
            f"{student.shape[-1]}; set truncate_dim, or give the student a Dense layer of the teacher's width"
        )
    if both_sparse:  # zeros of both add nothing
        values = (teacher - student).coalesce().values()
        return float(values.square().sum(dtype=torch.float64) / teacher.numel()) * 100
    difference = teacher - student
    return float(np.square(difference, out=difference).mean(dtype=np.float64)) * 100


def check_teacher(teacher_model: Any) -> None:
    """Refuse what cannot encode, e.g. None.

    Raises:
        InvalidOption: says what came.
    """
    if not hasattr(teacher_model, "encode"):
        raise InvalidOption(
            f"teacher_model is {teacher_model!r}; give the model whose embeddings are the goal, with encode()"
        )


class MSEEvaluator(BaseEvaluator):
    """Mean squared error, times 100, of a student's embeddings of ``target_sentences`` from a teacher's of
    ``source_sentences``.

    The only metric is ``negative_mse``: negated, so that larger is better. For making a model multilingual
    the targets are translations of the sources (Reimers and Gurevych, arXiv:2004.09813).

    Args:
        source_sentences: ``[n]``; the teacher embeds them once, at construction.
        target_sentences: ``[n]``; the student embeds them at each call.
        teacher_model: the model whose embeddings are the goal.
        show_progress_bar: show one while encoding.
        batch_size: for ``encode``.
        name: prefix of the metric, and part of the CSV file's name.
        write_csv: write ``mse_evaluation_{name}_results.csv`` to the output folder.
        truncate_dim: dimensions to use of both; default: each model's.

    Raises:
        InvalidInput: the columns are empty or differ in length, or the embeddings differ in width.
        InvalidOption: there is no teacher.

    Example::

        evaluator = MSEEvaluator(["Good day!"], ["Guten Tag!"], teacher_model=teacher)
        student.evaluate(evaluator)["negative_mse"]
    """

    def __init__(
        self,
        source_sentences: Sequence[Any],
        target_sentences: Sequence[Any],
        teacher_model: Any = None,
        show_progress_bar: bool = False,
        batch_size: int = 32,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        check_columns(source_sentences=source_sentences, target_sentences=target_sentences)
        check_teacher(teacher_model)
        self.target_sentences = target_sentences
        self.show_progress_bar = show_progress_bar
        self.batch_size = batch_size
        self.name = name
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        # Without a name there are two underscores: the file's documented name.
        self.csv_file = file_name(f"mse_evaluation_{name}_results.csv")
        self.csv_headers = ["epoch", "steps", "MSE"]
        self.primary_metric = "negative_mse"
        self.source_embeddings = self.embed_inputs(teacher_model, source_sentences)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """``{"negative_mse": …}``; see the class."""
        error = mean_squared_error(self.source_embeddings, self.embed_inputs(model, self.target_sentences))
        when = moment(epoch, steps, self.truncate_dim)
        logger.info("Mean squared error (times 100) on %s%s: %.6f", self.name or "sentences", when, error)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, error])
        metrics = self.prefix_name_to_metrics({"negative_mse": -error}, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> np.ndarray:
        """Embeddings ``[n, d]``."""
        return model.encode(
            sentences,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_numpy=True,
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    @property
    def description(self) -> str:
        """What is measured, in words."""
        return "Knowledge Distillation"

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim``, if set."""
        return drop_unset(truncate_dim=self.truncate_dim)
