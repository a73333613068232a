"""How well a model's scores follow scores that people gave to pairs."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from stlib.base.evaluation.arguments import check_columns, resolve_progress
from stlib.base.evaluation.csv_file import append_row, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.statistics import pearson, spearman
from stlib.cross_encoder.evaluation.scoring import single_scores_of

logger = logging.getLogger(__name__)


class CrossEncoderCorrelationEvaluator(BaseEvaluator):
    """Pearson's and Spearman's correlation of a model's scores with given ones: ``pearson`` and ``spearman``,
    the primary metric. One that is not defined (one pair, or the same score for all) is nan.

    Args:
        sentence_pairs: ``[n]`` pairs of texts.
        scores: ``[n]``, on any scale.
        name: prefix of the metrics, and part of the CSV file's name.
        prompt_name: name of the model's prompt to use.
        batch_size: for ``model.predict``.
        show_progress_bar: None shows one if this module's logger is at level INFO or below.
        write_csv: append a row to ``CrossEncoderCorrelationEvaluator[_{name}]_results.csv``.

    Raises:
        InvalidInput: the columns are empty or differ in length.

    Example::

        pairs = [("A man eats.", "Somebody eats."), ("A plane lands.", "A cat sleeps.")]
        evaluator = CrossEncoderCorrelationEvaluator(pairs, [0.9, 0.1], name="sts")
        model.evaluate(evaluator)["sts_spearman"]
    """

    def __init__(
        self,
        sentence_pairs: Sequence[Any],
        scores: Sequence[float],
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
    ) -> None:
        check_columns(sentence_pairs=sentence_pairs, scores=scores)
        self.sentence_pairs = sentence_pairs
        self.scores = scores
        self.name = name
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = resolve_progress(show_progress_bar, logger)
        self.write_csv = write_csv
        self.csv_file = f"CrossEncoderCorrelationEvaluator{f'_{name}' if name else ''}_results.csv"
        self.csv_headers = ["epoch", "steps", "Pearson_Correlation", "Spearman_Correlation"]
        self.primary_metric = "spearman"

    @classmethod
    def from_input_examples(cls, examples: Iterable[Any], **kwargs: Any) -> CrossEncoderCorrelationEvaluator:
        """Pairs and scores from :class:`~stlib.readers.InputExample` objects; ``kwargs`` as for the class."""
        given = list(examples)
        return cls([example.texts for example in given], [example.label for example in given], **kwargs)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name.

        Raises:
            InvalidOption: the model has several labels.
        """
        logger.info("Correlation of scores on %s%s:", self.name or "pairs", moment(epoch, steps))
        scores = single_scores_of(self, model, list(self.sentence_pairs))
        metrics = {"pearson": pearson(self.scores, scores), "spearman": spearman(self.scores, scores)}
        logger.info("Pearson %.4f, Spearman %.4f", metrics["pearson"], metrics["spearman"])
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *metrics.values()])
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics
