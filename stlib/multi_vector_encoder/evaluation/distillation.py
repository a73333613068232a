"""How far a late-interaction model's scores are from a teacher's."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import kl_div

from stlib.base.evaluation.arguments import check_columns
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.statistics import spearman
from stlib.base.modality.kinds import is_message_dict
from stlib.errors import InvalidInput, InvalidOption
from stlib.util.misc import similarity_fct_name

logger = logging.getLogger(__name__)

_TEMPERATURES = ("temperature", "student_temperature", "teacher_temperature")


class MultiVectorDistillationEvaluator(BaseEvaluator):
    """Divergence and rank correlation of a model's scores from a teacher's, as in training by
    ``MultiVectorDistillKLDivLoss``.

    Metrics are ``kl_divergence`` (smaller is better) and ``spearman`` (larger is better), which decides
    between models. With candidates for each query both are means over the queries: sums over a query's tokens
    cannot be compared between queries. Queries of which all scores are equal, of either side, have no
    correlation and are left out of its mean; it is 0 if none has one. With one document per query both are
    those of all pairs together, and the divergence is no loss of training.

    Args:
        queries: ``[n]`` texts, or other inputs of the model.
        documents: ``[n]`` documents, or for each query a list of k candidates.
        scores: the teacher's, ``[n]`` or ``[n, k]``.
        temperature: what both sides' scores are divided by; give that of the loss to see its value.
        student_temperature: the model's, if it differs; its square scales the divergence.
        teacher_temperature: the teacher's, if it differs.
        similarity_fct: ``(queries, documents) -> [n]``, scores of row i with row i; default: the model's
            ``similarity_pairwise``.
        name: put in front of metrics and into the file's name.
        batch_size: for ``encode_query`` and ``encode_document``.
        show_progress_bar: show bars.
        write_csv: append a row to ``distillation_evaluation[_{name}]_results.csv`` at each call.

    Raises:
        InvalidInput: columns of different lengths, or scores of another shape.
        InvalidOption: a temperature that is not positive and finite.

    Example::

        evaluator = MultiVectorDistillationEvaluator(
            ["who wrote faust"], [["Goethe wrote Faust.", "Marlowe wrote Doctor Faustus."]], [[8.4, 3.0]]
        )
        print(evaluator(model)[evaluator.primary_metric])
    """

    def __init__(
        self,
        queries: Sequence[Any],
        documents: Sequence[Any],
        scores: Any,
        *,
        temperature: float = 1.0,
        student_temperature: float | None = None,
        teacher_temperature: float | None = None,
        similarity_fct: Callable[..., Tensor] | None = None,
        name: str = "",
        batch_size: int = 16,
        show_progress_bar: bool = False,
        write_csv: bool = True,
    ) -> None:
        check_columns(queries=queries, documents=documents, scores=scores)
        self.queries = list(queries)
        self.nested_documents = _holds_candidates(documents[0])
        self.documents = list(documents)
        self.scores = _scores(scores, documents, self.nested_documents)
        self.temperature = temperature
        self.student_temperature = temperature if student_temperature is None else student_temperature
        self.teacher_temperature = temperature if teacher_temperature is None else teacher_temperature
        for label in _TEMPERATURES:
            if not 0 < getattr(self, label) < math.inf:
                raise InvalidOption(f"{label} is {getattr(self, label)}; it has to be positive and finite")
        self.similarity_fct = similarity_fct
        self.name = name
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.csv_file = file_name(f"distillation_evaluation{f'_{name}' if name else ''}_results.csv")
        self.csv_headers = ["epoch", "steps", "kl_divergence", "spearman"]
        self.primary_metric = "spearman"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name; see the class."""
        logger.info("Distance from a teacher on %s%s:", self.name or "queries", moment(epoch, steps))
        student = self._student_scores(model)
        divergence, correlation = self._divergence(student), self._correlation(student)
        logger.info("KL divergence: %.4f, Spearman: %.4f", divergence, correlation)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, divergence, correlation])
        metrics = {"kl_divergence": divergence, "spearman": correlation}
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _student_scores(self, model: Any) -> Tensor:
        """The model's scores, shaped as the teacher's."""
        options = {"batch_size": self.batch_size, "show_progress_bar": self.show_progress_bar}
        queries = model.encode_query(self.queries, **options)
        score = self.similarity_fct or model.similarity_pairwise
        if not self.nested_documents:
            return score(queries, model.encode_document(self.documents, **options)).cpu()
        flat = model.encode_document([text for row in self.documents for text in row], **options)
        width = self.scores.shape[1]
        return torch.stack([score(queries, flat[place::width]).cpu() for place in range(width)], dim=1)

    def _divergence(self, student: Tensor) -> float:
        found = torch.log_softmax(student.float() / self.student_temperature, dim=-1)
        wanted = torch.softmax(self.scores / self.teacher_temperature, dim=-1)
        total = kl_div(found, wanted, reduction="batchmean" if self.nested_documents else "sum")
        return total.item() * self.student_temperature**2

    def _correlation(self, student: Tensor) -> float:
        pairs = zip(self.scores.numpy(), student.float().numpy(), strict=True)
        rows = list(pairs) if self.nested_documents else [(self.scores.numpy(), student.float().numpy())]
        found = [value for row in rows if not math.isnan(value := spearman(*row))]
        return float(np.mean(found)) if found else 0.0

    def get_config_dict(self) -> dict[str, Any]:
        """Temperatures and the scoring function, as far as they are not the usual ones."""
        config: dict[str, Any] = {} if self.temperature == 1.0 else {"temperature": self.temperature}
        for name in _TEMPERATURES[1:]:
            if getattr(self, name) != self.temperature:
                config[name] = getattr(self, name)
        if self.similarity_fct is not None:
            config["similarity_fct"] = similarity_fct_name(self.similarity_fct)
        return config


def _holds_candidates(document: Any) -> bool:
    """Whether it is a list of documents; a conversation is one document, though a list of messages."""
    is_list = isinstance(document, (list, tuple))
    return is_list and not (document and is_message_dict(document[0]))


def _scores(scores: Any, documents: Sequence[Any], nested: bool) -> Tensor:
    tensor = torch.as_tensor(scores, dtype=torch.float32).detach().cpu()
    widths = {len(row) for row in documents} if nested else set()
    if len(widths) > 1:
        raise InvalidInput(
            f"queries have {min(widths)} to {max(widths)} candidate documents; give all as many"
        )
    expected = (len(documents), *widths)
    if tensor.shape != expected:
        kind = "candidates for each query" if nested else "one document for each query"
        raise InvalidInput(
            f"scores have the shape {tuple(tensor.shape)}; with {kind} it has to be {expected}"
        )
    return tensor
