"""How well a threshold on similarity of sparse embeddings tells pairs that are alike from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from stlib.sentence_transformer.evaluation.binary_classification import BinaryClassificationEvaluator
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator


class SparseBinaryClassificationEvaluator(SparseEvaluator, BinaryClassificationEvaluator):
    """:class:`~stlib.evaluation.BinaryClassificationEvaluator` of a sparse model; also ``active_dims`` and
    ``sparsity_ratio`` of the distinct texts.

    Args:
        sentences1, sentences2, labels, name, batch_size, show_progress_bar, write_csv, similarity_fn_names:
            see there.
        max_active_dims: keep the so many largest values of each embedding; default: the model's.

    Raises:
        InvalidInput: the columns are empty or differ in length, or a label is neither 0 nor 1.
        InvalidOption: an unknown similarity function.

    Example::

        evaluator = SparseBinaryClassificationEvaluator(
            ["How old are you?", "Where is it?"], ["What is your age?", "Who is he?"], [1, 0]
        )
        model.evaluate(evaluator)["dot_ap"]
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
        max_active_dims: int | None = None,
        similarity_fn_names: list[str] | None = None,
    ) -> None:
        self.max_active_dims = max_active_dims
        super().__init__(
            sentences1,
            sentences2,
            labels,
            name=name,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            write_csv=write_csv,
            similarity_fn_names=similarity_fn_names,
        )

    def _use(self, names: list[str]) -> None:
        super()._use(names)
        if names:
            self.csv_headers += self.sparsity_columns

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """Sparse embeddings ``[n, d]``."""
        embeddings = self.encode_sparse(model, sentences, **kwargs)
        self.record(model, embeddings)
        return embeddings
