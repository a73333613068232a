"""How well a threshold on similarity tells pairs that are alike from pairs that are not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from stlib.base.evaluation.arguments import (
    check_columns,
    drop_unset,
    resolve_progress,
    similarity_names,
    texts_of_examples,
)
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.nan_scores import warn_of_nan
from stlib.base.evaluation.statistics import (
    average_precision,
    best_accuracy,
    best_f1,
    matthews_correlation,
)
from stlib.errors import InvalidInput
from stlib.util.exact_search import take_rows
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)

_METRICS = ("accuracy", "accuracy_threshold", "f1", "precision", "recall", "f1_threshold", "ap", "mcc")
_DISTANCES = ("euclidean", "manhattan")


class BinaryClassificationEvaluator(BaseEvaluator):
    """Accuracy, F1 and average precision of calling a pair alike from some similarity on.

    For each similarity function: ``{function}_accuracy`` and ``_f1`` at their best thresholds
    (``_accuracy_threshold``, ``_f1_threshold``), ``_precision``, ``_recall`` and Matthews' correlation
    ``_mcc`` at the threshold of F1, and ``_ap``, the average precision. Thresholds of Euclidean and Manhattan
    are distances: a pair is alike up to them. With several functions ``max_…`` is the largest of each metric.
    The primary metric is the average precision, ``{function}_ap`` or ``max_ap``. A pair whose similarity is
    nan, as those of a diverged model, is never alike and never decided rightly, with a warning in the log.

    Args:
        sentences1: ``[n]``, the first of each pair.
        sentences2: ``[n]``, the second of each pair.
        labels: ``[n]``, 1 for pairs that are alike and 0 for others.
        name: prefix of the metrics, and part of the CSV file's name.
        batch_size: for ``model.encode``.
        show_progress_bar: None shows one if this module's logger is at level INFO or below.
        write_csv: write ``binary_classification_evaluation[_{name}]_results.csv`` to the output folder.
        truncate_dim: dimensions to use; default: the model's.
        similarity_fn_names: functions to use; default: the model's own.

    Raises:
        InvalidInput: the columns are empty or differ in length, or a label is neither 0 nor 1.
        InvalidOption: an unknown similarity function.

    Example::

        evaluator = BinaryClassificationEvaluator(
            ["How old are you?", "Where is it?"], ["What is your age?", "Who is he?"], [1, 0]
        )
        model.evaluate(evaluator)["cosine_ap"]
    """

    def __init__(
        self,
        sentences1: Sequence[Any],
        sentences2: Sequence[Any],
        labels: Sequence[int],
        name: str = "",
        batch_size: int = 32,
        show_progress_bar: bool | None = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        similarity_fn_names: list[str] | None = None,
    ) -> None:
        check_columns(sentences1=sentences1, sentences2=sentences2, labels=labels)
        for position, label in enumerate(labels):
            if label != 0 and label != 1:
                raise InvalidInput(
                    f"labels[{position}] is {label!r}; a label is 1 (alike) or 0 (not alike). For graded "
                    "scores use EmbeddingSimilarityEvaluator"
                )
        self.sentences1, self.sentences2, self.labels = sentences1, sentences2, labels
        self.name = name
        self.batch_size = batch_size
        self.show_progress_bar = resolve_progress(show_progress_bar, logger)
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self.csv_file = file_name(
            "_".join(part for part in ("binary_classification_evaluation", name, "results.csv") if part)
        )
        self.csv_headers = ["epoch", "steps"]
        self.similarity_fn_names: list[str] = []
        self._use(similarity_names(similarity_fn_names))

    @classmethod
    def from_input_examples(cls, examples: Sequence[Any], **kwargs: Any) -> BinaryClassificationEvaluator:
        """Pairs and labels from :class:`~stlib.readers.InputExample` objects; ``kwargs`` as for the class."""
        first, second = texts_of_examples(examples, 2)
        return cls(first, second, [example.label for example in examples], **kwargs)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name; see the class."""
        logger.info(
            "Decisions by similarity on %s%s:", self.name or "pairs", moment(epoch, steps, self.truncate_dim)
        )
        if not self.similarity_fn_names:
            self._use([model.similarity_fn_name])
        scores = self.compute_metrics(model)
        if self.write_csv:
            values = [scores[function][metric] for function in scores for metric in _METRICS]
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *values])
        metrics = {f"{fn}_{metric}": value for fn, found in scores.items() for metric, value in found.items()}
        self.primary_metric = f"{self.similarity_fn_names[0]}_ap"
        if len(self.similarity_fn_names) > 1:
            self.primary_metric = "max_ap"
            first = next(iter(scores.values()))
            metrics |= {f"max_{metric}": max(found[metric] for found in scores.values()) for metric in first}
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def compute_metrics(self, model: Any) -> dict[str, dict[str, float]]:
        """Metrics of each similarity function, by its name."""
        first, second = self._embed_pairs(model)
        labels = np.asarray(self.labels)
        found = {}
        for function in self.similarity_fn_names:
            scores = SimilarityFunction.to_similarity_pairwise_fn(function)(first, second)
            found[function] = _metrics(function, scores.detach().cpu().numpy(), labels)
            logger.info("%s: %s", function, ", ".join(f"{k} {v:.4f}" for k, v in found[function].items()))
        return found

    compute_metrices = compute_metrics
    """The name of :meth:`compute_metrics` in earlier generations."""

    @staticmethod
    def find_best_acc_and_threshold(
        scores: Any, labels: Any, high_score_more_similar: bool
    ) -> tuple[float, float]:
        """The highest accuracy and its threshold: :func:`~stlib.base.evaluation.statistics.best_accuracy`."""
        return best_accuracy(labels, scores, high_score_more_similar)

    @staticmethod
    def find_best_f1_and_threshold(
        scores: Any, labels: Any, high_score_more_similar: bool
    ) -> tuple[float, float, float, float]:
        """The highest F1, its precision, recall and threshold:
        :func:`~stlib.base.evaluation.statistics.best_f1`.
        """
        return best_f1(labels, scores, high_score_more_similar)

    def _use(self, names: list[str]) -> None:
        self.similarity_fn_names = names
        self.csv_headers += [f"{name}_{metric}" for name in names for metric in _METRICS]

    def _embed_pairs(self, model: Any) -> tuple[Any, Any]:
        """Both columns ``[n, d]``; a text that occurs several times is embedded once."""
        both = [*self.sentences1, *self.sentences2]
        try:
            row = {item: position for position, item in enumerate(dict.fromkeys(both))}
        except TypeError:  # pictures, sounds and dicts cannot be looked up
            return self.embed_inputs(model, self.sentences1), self.embed_inputs(model, self.sentences2)
        embeddings = self.embed_inputs(model, list(row))
        rows = np.fromiter((row[item] for item in both), dtype=np.int64, count=len(both))
        first, second = rows[: len(self.sentences1)], rows[len(self.sentences1) :]
        return take_rows(embeddings, first), take_rows(embeddings, second)

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

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim``, if set."""
        return drop_unset(truncate_dim=self.truncate_dim)


def _metrics(function: str, scores: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    decided = ~np.isnan(scores)
    n, n_decided, n_positive = len(scores), int(decided.sum()), int((labels == 1).sum())
    warn_of_nan(logger, n - n_decided, n, f"{function} scores")
    distances = function in _DISTANCES
    if distances:  # the similarity functions return them negated
        scores = -scores
    accuracy = best_accuracy(labels[decided], scores[decided], not distances)
    f1 = best_f1(labels[decided], scores[decided], not distances, n_positive)
    alike = scores <= f1.threshold if distances else scores >= f1.threshold
    return {
        "accuracy": accuracy.accuracy * n_decided / n if n_decided < n else accuracy.accuracy,
        "accuracy_threshold": accuracy.threshold,
        "f1": f1.f1,
        "f1_threshold": f1.threshold,
        "precision": f1.precision,
        "recall": f1.recall,
        "ap": average_precision(labels[decided], (-scores if distances else scores)[decided], n_positive),
        "mcc": matthews_correlation(labels, alike),
    }
