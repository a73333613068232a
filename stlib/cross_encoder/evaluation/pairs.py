"""What evaluators of pairs with a gold value each share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from stlib.base.evaluation.csv_file import append_row
from stlib.base.evaluation.evaluator import BaseEvaluator

Evaluator = TypeVar("Evaluator", bound="PairsEvaluator")


class PairsEvaluator(BaseEvaluator):
    """Measures scores of pairs against a value that is given for each.

    Args:
        sentence_pairs: ``[n]`` pairs of texts.
        title: the evaluator's name in that of the CSV file.
        name: prefix of the metrics, and part of the CSV file's name.
        prompt_name: name of the model's prompt to use.
        batch_size: for ``model.predict``.
        show_progress_bar: for ``model.predict``.
        write_csv: append a row to ``{title}[_{name}]_results.csv``.
    """

    csv_headers: list[str]

    def __init__(
        self,
        sentence_pairs: Sequence[Any],
        title: str,
        name: str,
        prompt_name: str | None,
        batch_size: int,
        show_progress_bar: bool,
        write_csv: bool,
    ) -> None:
        self.sentence_pairs = sentence_pairs
        self.name = name
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.csv_file = f"{title}{f'_{name}' if name else ''}_results.csv"

    @classmethod
    def from_input_examples(cls: type[Evaluator], examples: Iterable[Any], **kwargs: Any) -> Evaluator:
        """Pairs and their values from :class:`~stlib.readers.InputExample` objects; ``kwargs`` as for the
        class.
        """
        given = list(examples)
        # Subclasses take the pairs and the values first.
        make: Any = cls
        return make([example.texts for example in given], [example.label for example in given], **kwargs)

    def report(
        self, model: Any, metrics: dict[str, float], output_path: str | None, epoch: int, steps: int
    ) -> dict[str, float]:
        """Write the metrics, in the order of the headers, and hand them to the model's card.

        Returns:
            They with the evaluator's name in front.
        """
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *metrics.values()])
        named = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, named, epoch, steps)
        return named
