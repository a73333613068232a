"""How often the sparse embedding of an anchor is nearer to its positive than to its negative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from stlib.sentence_transformer.evaluation.triplet import TripletEvaluator
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator, method_of
from stlib.util.similarity_function import SimilarityFunction

# The order in which columns are embedded.
_GROUPS = ("anchor", "positive", "negative")


class SparseTripletEvaluator(SparseEvaluator, TripletEvaluator):
    """:class:`~stlib.evaluation.TripletEvaluator` of a sparse model; also ``anchor_active_dims``,
    ``anchor_sparsity_ratio`` and the same of ``positive`` and ``negative``.

    Args:
        anchors, positives, negatives, main_similarity_function, margin, name, batch_size, show_progress_bar,
            write_csv, similarity_fn_names, main_distance_function: see there.
        max_active_dims: keep the so many largest values of each embedding; default: the model's.

    Raises:
        InvalidInput: the columns are empty or differ in length.
        InvalidOption: an unknown similarity function, or a margin that is no number.

    Example::

        evaluator = SparseTripletEvaluator(["A dog runs."], ["A pet is running."], ["It rains."])
        model.evaluate(evaluator)["dot_accuracy"]
    """

    sparsity_columns = tuple(f"{g}_{name}" for g in _GROUPS for name in SparseEvaluator.sparsity_columns)

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
        max_active_dims: int | None = None,
        similarity_fn_names: list[str] | None = None,
        main_distance_function: str | SimilarityFunction | None = "deprecated",
    ) -> None:
        self.max_active_dims = max_active_dims
        super().__init__(
            anchors,
            positives,
            negatives,
            main_similarity_function=main_similarity_function,
            margin=margin,
            name=name,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            write_csv=write_csv,
            similarity_fn_names=similarity_fn_names,
            main_distance_function=main_distance_function,
        )

    def _use(self, names: list[str]) -> None:
        super()._use(names)
        if names:
            self.csv_headers += self.sparsity_columns

    def embed_inputs(  # type: ignore[override]
        self, model: Any, sentences: Any, encode_fn_name: str | None = None, **kwargs: Any
    ) -> Tensor:
        """Sparse embeddings ``[n, d]``; ``encode_fn_name`` is ``"query"``, ``"document"`` or None for
        neither.
        """
        embeddings = self.encode_sparse(model, sentences, method_of(encode_fn_name), **kwargs)
        # Two numbers are recorded for each column before this one.
        self.record(model, embeddings, _GROUPS[len(self._recorded) // 2])
        return embeddings
