"""How well the similarity of embeddings follows scores that people gave to pairs of sentences."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from stlib.base.evaluation.arguments import (
    check_columns,
    drop_unset,
    main_similarity_of,
    resolve_progress,
    similarity_names,
    texts_of_examples,
)
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.statistics import pearson, spearman
from stlib.errors import InvalidOption
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)

_PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")


class EmbeddingSimilarityEvaluator(BaseEvaluator):
    """Pearson's and Spearman's correlation of similarities with given scores, for each similarity function.

    Metrics are ``pearson_{function}`` and ``spearman_{function}``, and with several functions the largest of
    each as ``pearson_max`` and ``spearman_max``. The primary one is Spearman's: of ``main_similarity``, of
    the only function, or the largest. A correlation that is not defined (one pair, or the same score for
    all) is nan.

    Args:
        sentences1: ``[n]``, the first of each pair.
        sentences2: ``[n]``, the second of each pair.
        scores: ``[n]``, larger for pairs that are more alike; the scale does not matter.
        batch_size: for ``model.encode``.
        main_similarity: the function that decides between two states of a model.
        similarity_fn_names: functions to use, ``main_similarity`` in any case; default: that, else the
            model's own.
        name: prefix of the metrics, and part of the CSV file's name.
        show_progress_bar: None shows one if this module's logger is at level INFO or below.
        write_csv: write ``similarity_evaluation[_{name}][_{precision}]_results.csv`` to the output folder.
        precision: measure quantised embeddings of unit length: ``"int8"`` and ``"uint8"`` with ranges from
            all sentences together, ``"binary"`` and ``"ubinary"`` bit by bit. ``"float32"`` normalises only;
            None takes the embeddings as they are.
        truncate_dim: dimensions to use; default: the model's.

    Raises:
        InvalidInput: the columns are empty or differ in length.
        InvalidOption: an unknown similarity function or precision.

    Example::

        evaluator = EmbeddingSimilarityEvaluator(
            ["A man eats.", "A plane lands."], ["Someone is eating.", "A cat sleeps."], [0.9, 0.1], name="sts"
        )
        model.evaluate(evaluator)["sts_spearman_cosine"]
    """

    def __init__(
        self,
        sentences1: Sequence[Any],
        sentences2: Sequence[Any],
        scores: Sequence[float],
        batch_size: int = 16,
        main_similarity: str | SimilarityFunction | None = None,
        similarity_fn_names: list[str] | None = None,
        name: str = "",
        show_progress_bar: bool | None = False,
        write_csv: bool = True,
        precision: str | None = None,
        truncate_dim: int | None = None,
    ) -> None:
        check_columns(sentences1=sentences1, sentences2=sentences2, scores=scores)
        if precision is not None and precision not in _PRECISIONS:
            raise InvalidOption(f"precision is {precision!r}; allowed are: {', '.join(_PRECISIONS)}, or None")
        self.sentences1, self.sentences2, self.scores = sentences1, sentences2, scores
        self.batch_size = batch_size
        self.main_similarity = main_similarity_of(main_similarity, "main_similarity")
        self.name = name
        self.show_progress_bar = resolve_progress(show_progress_bar, logger)
        self.write_csv = write_csv
        self.precision = precision
        self.truncate_dim = truncate_dim
        parts = ["similarity_evaluation", name, precision, "results.csv"]
        self.csv_file = file_name("_".join(part for part in parts if part))
        self.csv_headers = ["epoch", "steps"]
        self.similarity_fn_names: list[str] = []
        self._use(similarity_names(similarity_fn_names, self.main_similarity))

    @classmethod
    def from_input_examples(cls, examples: Sequence[Any], **kwargs: Any) -> EmbeddingSimilarityEvaluator:
        """Pairs and scores from :class:`~stlib.readers.InputExample` objects; ``kwargs`` as for the class."""
        first, second = texts_of_examples(examples, 2)
        return cls(first, second, [example.label for example in examples], **kwargs)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name; see the class."""
        logger.info(
            "Correlation of similarities on %s%s:",
            self.name or "pairs",
            moment(epoch, steps, self.truncate_dim),
        )
        first, second = self._embed_pairs(model)
        if not self.similarity_fn_names:
            self._use([model.similarity_fn_name])
        metrics: dict[str, float] = {}
        for function in self.similarity_fn_names:
            similarity = SimilarityFunction.to_similarity_pairwise_fn(function)(first, second)
            values = similarity.detach().cpu().numpy()
            metrics[f"pearson_{function}"] = pearson(self.scores, values)
            metrics[f"spearman_{function}"] = spearman(self.scores, values)
            logger.info(
                "%s: Pearson %.4f, Spearman %.4f",
                function,
                metrics[f"pearson_{function}"],
                metrics[f"spearman_{function}"],
            )
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *metrics.values()])
        self._add_largest(metrics)
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _use(self, names: list[str]) -> None:
        self.similarity_fn_names = names
        self.csv_headers += [f"{name}_{metric}" for name in names for metric in ("pearson", "spearman")]

    def _embed_pairs(self, model: Any) -> tuple[np.ndarray, np.ndarray]:
        if self.precision not in ("int8", "uint8"):
            first, second = (
                self.embed_inputs(model, self.sentences1),
                self.embed_inputs(model, self.sentences2),
            )
        else:
            # Ranges of whole numbers come from the texts of one call, and both sides need the same ones.
            both = self.embed_inputs(model, [*self.sentences1, *self.sentences2])
            first, second = both[: len(self.sentences1)], both[len(self.sentences1) :]
        return _comparable(first, self.precision), _comparable(second, self.precision)

    def _add_largest(self, metrics: dict[str, float]) -> None:
        names = self.similarity_fn_names
        if len(names) > 1:
            for metric in ("pearson", "spearman"):
                metrics[f"{metric}_max"] = max(metrics[f"{metric}_{name}"] for name in names)
        main = self.main_similarity.value if self.main_similarity else "max" if len(names) > 1 else names[0]
        self.primary_metric = f"spearman_{main}"

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> np.ndarray:
        """Embeddings ``[n, d]`` in ``precision``, of unit length if there is one."""
        return model.encode(
            sentences,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_numpy=True,
            precision=self.precision,
            normalize_embeddings=bool(self.precision),
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    @property
    def description(self) -> str:
        """What is measured, in words."""
        return "Semantic Similarity"

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim`` and ``precision``, if set."""
        return drop_unset(truncate_dim=self.truncate_dim, precision=self.precision)


def _comparable(embeddings: Any, precision: str | None) -> Any:
    """Embeddings as the similarity functions take them: bits one by one, whole numbers as floats."""
    if precision in (None, "float32"):
        return embeddings
    if precision == "binary":  # the bytes of ubinary, moved down by 128
        embeddings = (embeddings.astype(np.int16) + 128).astype(np.uint8)
    if precision in ("binary", "ubinary"):
        embeddings = np.unpackbits(embeddings, axis=1)
    return embeddings.astype(np.float32)
