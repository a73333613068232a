"""How well the similarity of sparse embeddings follows scores that people gave to pairs of sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from stlib.sentence_transformer.evaluation.embedding_similarity import EmbeddingSimilarityEvaluator
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator
from stlib.util.similarity_function import SimilarityFunction


class SparseEmbeddingSimilarityEvaluator(SparseEvaluator, EmbeddingSimilarityEvaluator):
    """:class:`~stlib.evaluation.EmbeddingSimilarityEvaluator` of a sparse model; also ``active_dims`` and
    ``sparsity_ratio``.

    Args:
        sentences1, sentences2, scores, batch_size, main_similarity, similarity_fn_names, name,
            show_progress_bar, write_csv: see there.
        max_active_dims: keep the so many largest values of each embedding; default: the model's.

    Raises:
        InvalidInput: the columns are empty or differ in length.
        InvalidOption: an unknown similarity function.

    Example::

        evaluator = SparseEmbeddingSimilarityEvaluator(
            ["A man eats.", "A plane lands."], ["Someone is eating.", "A cat sleeps."], [0.9, 0.1], name="sts"
        )
        model.evaluate(evaluator)["sts_spearman_dot"]
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
        max_active_dims: int | None = None,
    ) -> None:
        self.max_active_dims = max_active_dims
        super().__init__(
            sentences1,
            sentences2,
            scores,
            batch_size=batch_size,
            main_similarity=main_similarity,
            similarity_fn_names=similarity_fn_names,
            name=name,
            show_progress_bar=show_progress_bar,
            write_csv=write_csv,
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
