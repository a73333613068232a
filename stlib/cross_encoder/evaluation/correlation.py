"""How well a model's scores follow scores that people gave to pairs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from stlib.base.evaluation.arguments import check_columns, resolve_progress
from stlib.base.evaluation.csv_file import moment
from stlib.base.evaluation.statistics import pearson, spearman
from stlib.cross_encoder.evaluation.pairs import PairsEvaluator
from stlib.cross_encoder.evaluation.scoring import single_scores_of

logger = logging.getLogger(__name__)


class CrossEncoderCorrelationEvaluator(PairsEvaluator):
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
        title = "CrossEncoderCorrelationEvaluator"
        progress = resolve_progress(show_progress_bar, logger)
        super().__init__(sentence_pairs, title, name, prompt_name, batch_size, progress, write_csv)
        self.scores = scores
        self.csv_headers = ["epoch", "steps", "Pearson_Correlation", "Spearman_Correlation"]
        self.primary_metric = "spearman"

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
        return self.report(model, metrics, output_path, epoch, steps)
