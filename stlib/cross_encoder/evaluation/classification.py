"""How well a model tells classes of pairs from each other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from stlib.base.evaluation.arguments import check_columns, resolve_progress
from stlib.base.evaluation.csv_file import moment
from stlib.base.evaluation.statistics import average_precision, best_accuracy, best_f1, class_f1
from stlib.cross_encoder.evaluation.pairs import PairsEvaluator
from stlib.cross_encoder.evaluation.scoring import scores_of
from stlib.errors import InvalidInput

logger = logging.getLogger(__name__)

# Metric -> header of its column
_BINARY = {
    "accuracy": "Accuracy",
    "accuracy_threshold": "Accuracy_Threshold",
    "f1": "F1",
    "f1_threshold": "F1_Threshold",
    "precision": "Precision",
    "recall": "Recall",
    "average_precision": "Average_Precision",
}
_CLASSES = {"f1_macro": "Macro_F1", "f1_micro": "Micro_F1", "f1_weighted": "Weighted_F1"}


class CrossEncoderClassificationEvaluator(PairsEvaluator):
    """Compares the classes that a model gives to pairs with the right ones.

    Of a model with one label, which scores pairs, the metrics are ``accuracy`` and ``f1`` at their best
    thresholds (``accuracy_threshold``, ``f1_threshold``), ``precision`` and ``recall`` at that of F1, and
    ``average_precision``, the primary one. Of a model with several, the class of the largest score counts:
    ``f1_macro`` (primary), ``f1_micro`` and ``f1_weighted``.

    Args:
        sentence_pairs: ``[n]`` pairs of texts.
        labels: ``[n]``: 0 and 1 for a model with one label, else the numbers of the classes.
        name: prefix of the metrics, and part of the CSV file's name.
        prompt_name: name of the model's prompt to use.
        batch_size: for ``model.predict``.
        show_progress_bar: None shows one if this module's logger is at level INFO or below.
        write_csv: append a row to ``CrossEncoderClassificationEvaluator[_{name}]_results.csv``.
        kwargs: without effect.

    Raises:
        InvalidInput: the columns are empty or differ in length.

    Example::

        pairs = [("A man eats.", "Somebody eats."), ("A man eats.", "Nobody eats.")]
        evaluator = CrossEncoderClassificationEvaluator(pairs, [1, 0], name="tiny")
        model.evaluate(evaluator)["tiny_average_precision"]
    """

    def __init__(
        self,
        sentence_pairs: Sequence[Any],
        labels: Sequence[int],
        *,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
        **kwargs: Any,
    ) -> None:
        check_columns(sentence_pairs=sentence_pairs, labels=labels)
        title = "CrossEncoderClassificationEvaluator"
        progress = resolve_progress(show_progress_bar, logger)
        super().__init__(sentence_pairs, title, name, prompt_name, batch_size, progress, write_csv)
        self.labels = np.asarray(labels)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name; see the class.

        Raises:
            InvalidInput: the model has one label, and those given are not 0 and 1.
        """
        binary = model.num_labels == 1
        if binary:
            _check_binary(self.labels)
        logger.info("Classes of pairs on %s%s:", self.name or "pairs", moment(epoch, steps))
        scores = scores_of(self, model, list(self.sentence_pairs))
        metrics = self._of_scores(scores.reshape(-1)) if binary else self._of_classes(scores.argmax(axis=1))
        headers = _BINARY if binary else _CLASSES
        for metric, value in metrics.items():
            logger.info("%s: %.4f", headers[metric], value)
        self.csv_headers = ["epoch", "steps", *headers.values()]
        self.primary_metric = "average_precision" if binary else "f1_macro"
        return self.report(model, metrics, output_path, epoch, steps)

    def _of_scores(self, scores: np.ndarray) -> dict[str, float]:
        accuracy, f1 = best_accuracy(self.labels, scores), best_f1(self.labels, scores)
        return {
            "accuracy": accuracy.accuracy,
            "accuracy_threshold": accuracy.threshold,
            "f1": f1.f1,
            "f1_threshold": f1.threshold,
            "precision": f1.precision,
            "recall": f1.recall,
            "average_precision": average_precision(self.labels, scores),
        }

    def _of_classes(self, classes: np.ndarray) -> dict[str, float]:
        f1 = class_f1(self.labels, classes)
        return {"f1_macro": f1.macro, "f1_micro": f1.micro, "f1_weighted": f1.weighted}


def _check_binary(labels: np.ndarray) -> None:
    """Refuse labels other than 0 and 1, of which every metric of two classes would be wrong."""
    others = labels[~np.isin(labels, (0, 1))]
    if len(others):
        raise InvalidInput(
            f"the label {others[0]} is neither 0 nor 1, and a model with one label tells two classes; for "
            "scores on a scale use CrossEncoderCorrelationEvaluator, for classes a model with several labels"
        )
