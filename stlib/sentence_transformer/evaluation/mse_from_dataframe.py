"""How far a student's embeddings are from a teacher's, for several pairs of languages."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.errors import InvalidInput
from stlib.sentence_transformer.evaluation.mse import check_teacher, mean_squared_error
from stlib.util.lists import refuse_text

logger = logging.getLogger(__name__)


class MSEEvaluatorFromDataFrame(BaseEvaluator):
    """:class:`~stlib.evaluation.MSEEvaluator` for parallel sentences in many languages.

    The only metric is ``negative_mse``: the mean over the pairs of languages, times 100 and negated. The CSV
    file has one column with the error of each pair, ``{source}-{target}``.

    Args:
        dataframe: rows of parallel sentences by language, ``[{"en": …, "de": …}, …]``. Rows in which one of
            the two languages is blank are left out.
        teacher_model: embeds the source sentences once, at construction.
        combinations: ``[(source language, target language), …]``.
        batch_size: for ``encode``.
        name: prefix of the metric, and part of the CSV file's name.
        write_csv: write ``mse_evaluation[_{name}]_results.csv`` to the output folder.
        truncate_dim: dimensions to use of both models; default: each model's.

    Raises:
        InvalidInput: a language is missing in a row, or a pair of languages has no sentences.
        InvalidOption: there is no teacher.
    """

    def __init__(
        self,
        dataframe: list[dict[str, str]],
        teacher_model: Any,
        combinations: list[tuple[str, str]],
        batch_size: int = 8,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        check_teacher(teacher_model)
        refuse_text(dataframe=dataframe, combinations=combinations)
        for pair in combinations:
            refuse_text(combination=pair)
        if not combinations:
            raise InvalidInput('combinations is empty; give pairs of languages, e.g. [("en", "de")]')
        self.combinations = combinations
        self.batch_size = batch_size
        self.name = name
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self.csv_file = file_name("_".join(part for part in ("mse_evaluation", name, "results.csv") if part))
        self.csv_headers = ["epoch", "steps", *(f"{source}-{target}" for source, target in combinations)]
        self.primary_metric = "negative_mse"
        self.data = {
            (source, target): _parallel(dataframe, source, target) for source, target in combinations
        }
        sources = list(dict.fromkeys(text for texts, _ in self.data.values() for text in texts))
        self.teacher_embeddings = dict(zip(sources, self.embed_inputs(teacher_model, sources), strict=True))

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """``{"negative_mse": …}``; see the class."""
        when = moment(epoch, steps, self.truncate_dim)
        errors = []
        for source, target in self.combinations:
            sources, targets = self.data[(source, target)]
            goal = np.stack([self.teacher_embeddings[text] for text in sources])
            errors.append(mean_squared_error(goal, self.embed_inputs(model, targets)))
            logger.info(
                "Mean squared error (times 100) on %s, %s-%s%s: %.6f",
                self.name or "sentences",
                source,
                target,
                when,
                errors[-1],
            )
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *errors])
        metrics = self.prefix_name_to_metrics({"negative_mse": -sum(errors) / len(errors)}, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> np.ndarray:
        """Embeddings ``[n, d]``."""
        return model.encode(
            sentences,
            batch_size=self.batch_size,
            convert_to_numpy=True,
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    @property
    def description(self) -> str:
        """What is measured, in words."""
        return "Knowledge Distillation"


def _parallel(rows: Sequence[dict[str, str]], source: str, target: str) -> tuple[list[str], list[str]]:
    """Sentences in two languages, of the rows that have both."""
    pairs = []
    for position, row in enumerate(rows):
        if missing := [language for language in (source, target) if language not in row]:
            raise InvalidInput(
                f"row {position} of dataframe has no {' and no '.join(map(repr, missing))}, only "
                f"{', '.join(map(repr, row))}; leave a text empty that is not known"
            )
        if row[source].strip() and row[target].strip():
            pairs.append((row[source], row[target]))
    if not pairs:
        raise InvalidInput(f"no row of dataframe has a text in both {source!r} and {target!r}")
    return [first for first, _ in pairs], [second for _, second in pairs]
