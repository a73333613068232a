"""How often an anchor is nearer to its positive than to its negative."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from stlib.base.evaluation.arguments import (
    OF_ONE_VECTOR,
    check_columns,
    drop_unset,
    main_similarity_of,
    resolve_progress,
    similarity_names,
    texts_of_examples,
)
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.errors import InvalidOption
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)


class TripletEvaluator(BaseEvaluator):
    """Share of triplets with ``similarity(anchor, positive) > similarity(anchor, negative) + margin``.

    Metrics are ``{function}_accuracy`` for each similarity function, and with several ``max_accuracy``. The
    primary one is that of ``main_similarity_function``, of the only function, or the largest. Anchors are
    embedded as queries and the others as documents (``encode_query``, ``encode_document``), so prompts with
    these names are used.

    Args:
        anchors: ``[n]``.
        positives: ``[n]``, nearer to the anchor.
        negatives: ``[n]``, further from the anchor.
        main_similarity_function: the function that decides between two states of a model.
        margin: by how much the positive must be more similar; one for all functions or a dict with one for
            each name (0 for those that it lacks). For distances it is in units of distance.
        name: prefix of the metrics, and part of the CSV file's name.
        batch_size: for ``model.encode_query`` and ``model.encode_document``.
        show_progress_bar: None shows one if this module's logger is at level INFO or below.
        write_csv: write ``triplet_evaluation[_{name}]_results.csv`` to the output folder.
        truncate_dim: dimensions to use; default: the model's.
        similarity_fn_names: functions to use, ``main_similarity_function`` in any case; default: that, else
            the model's own.
        main_distance_function: older name of ``main_similarity_function``.

    Raises:
        InvalidInput: the columns are empty or differ in length.
        InvalidOption: an unknown similarity function, or a margin that is neither a number nor a dict of
            their names.

    Example::

        evaluator = TripletEvaluator(["A dog runs."], ["A pet is running."], ["It rains."], margin=0.1)
        model.evaluate(evaluator)["cosine_accuracy"]
    """

    similarities: ClassVar[tuple[str, ...]] = OF_ONE_VECTOR
    """Names of those that fit the family of models."""

    def __init__(
        self,
        anchors: Sequence[Any],
        positives: Sequence[Any],
        negatives: Sequence[Any],
        main_similarity_function: str | SimilarityFunction | None = None,
        margin: float | dict[str, float] | None = None,
        name: str = "",
        batch_size: int = 16,
        show_progress_bar: bool | None = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        similarity_fn_names: list[str] | None = None,
        main_distance_function: str | SimilarityFunction | None = "deprecated",
    ) -> None:
        check_columns(anchors=anchors, positives=positives, negatives=negatives)
        if main_distance_function != "deprecated" and main_similarity_function is None:
            logger.warning("main_distance_function is an older name; use main_similarity_function")
            main_similarity_function = main_distance_function
        self.anchors, self.positives, self.negatives = anchors, positives, negatives
        self.main_similarity_function = main_similarity_of(
            main_similarity_function, "main_similarity_function"
        )
        self.margin = _margins(margin, self.similarities)
        self.name = name
        self.batch_size = batch_size
        self.show_progress_bar = resolve_progress(show_progress_bar, logger)
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self.csv_file = file_name(
            "_".join(part for part in ("triplet_evaluation", name, "results.csv") if part)
        )
        self.csv_headers = ["epoch", "steps"]
        self.similarity_fn_names: list[str] = []
        main = self.main_similarity_function
        self._use(similarity_names(similarity_fn_names, main, self.similarities))

    @classmethod
    def from_input_examples(cls, examples: Sequence[Any], **kwargs: Any) -> TripletEvaluator:
        """Triplets from the texts of :class:`~stlib.readers.InputExample` objects; ``kwargs`` as for the
        class.
        """
        anchors, positives, negatives = texts_of_examples(examples, 3)
        return cls(anchors, positives, negatives, **kwargs)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name; see the class."""
        logger.info(
            "Order of triplets on %s%s:", self.name or "triplets", moment(epoch, steps, self.truncate_dim)
        )
        anchors = self.embed_inputs(model, self.anchors, encode_fn_name="query")
        positives = self.embed_inputs(model, self.positives, encode_fn_name="document")
        negatives = self.embed_inputs(model, self.negatives, encode_fn_name="document")
        if not self.similarity_fn_names:
            self._use([model.similarity_fn_name])
        metrics = {}
        for function in self.similarity_fn_names:
            similarity = SimilarityFunction.to_similarity_pairwise_fn(function)
            needed = similarity(anchors, negatives) + self.margin[function]
            share = (similarity(anchors, positives) > needed).float().mean().item()
            metrics[f"{function}_accuracy"] = share
            logger.info("%s: accuracy %.4f", function, share)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *metrics.values()])
        self._add_largest(metrics)
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _use(self, names: list[str]) -> None:
        self.similarity_fn_names = names
        self.csv_headers += [f"accuracy_{name}" for name in names]

    def _add_largest(self, metrics: dict[str, float]) -> None:
        names = self.similarity_fn_names
        if len(names) > 1:
            metrics["max_accuracy"] = max(metrics.values())
        main = self.main_similarity_function
        decisive = main.value if main else "max" if len(names) > 1 else names[0]
        self.primary_metric = f"{decisive}_accuracy"

    def embed_inputs(
        self, model: Any, sentences: Any, encode_fn_name: str | None = None, **kwargs: Any
    ) -> np.ndarray:
        """Embeddings ``[n, d]``; ``encode_fn_name`` is ``"query"``, ``"document"`` or None for neither."""
        encoders = {"query": "encode_query", "document": "encode_document"}
        encode = getattr(model, encoders.get(encode_fn_name or "", "encode"))
        return encode(
            sentences,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_numpy=True,
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """``margin`` if there is one, and ``truncate_dim`` if set."""
        margin = self.margin if any(self.margin.values()) else None
        return drop_unset(margin=margin, truncate_dim=self.truncate_dim)


def _margins(margin: Any, allowed: Sequence[str]) -> dict[str, float]:
    """A margin for each similarity function."""
    if margin is None or isinstance(margin, (int, float)):
        return dict.fromkeys(allowed, margin or 0)
    if not isinstance(margin, Mapping):
        raise InvalidOption(
            f"margin is a {type(margin).__name__}; give a number, or a dict with keys of {', '.join(allowed)}"
        )
    if unknown := sorted(set(margin) - set(allowed)):
        raise InvalidOption(f"margin has the keys {unknown}; allowed are: {', '.join(allowed)}")
    return {**dict.fromkeys(allowed, 0), **margin}
