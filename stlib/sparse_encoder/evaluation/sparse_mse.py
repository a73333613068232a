"""How far a student's sparse embeddings are from a teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from stlib.sentence_transformer.evaluation.mse import MSEEvaluator
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator


class SparseMSEEvaluator(SparseEvaluator, MSEEvaluator):
    """:class:`~stlib.evaluation.MSEEvaluator` of a sparse model; also the student's ``active_dims`` and
    ``sparsity_ratio``. Differences are taken of sparse embeddings: nothing of ``n`` times the vocabulary is
    made.

    Args:
        source_sentences, target_sentences, teacher_model, show_progress_bar, batch_size, name, write_csv: see
            there; the teacher is a sparse model of the same vocabulary.
        max_active_dims: keep the so many largest values of each embedding, the teacher's too; default: each
            model's.

    Raises:
        InvalidInput: the columns are empty or differ in length, or the embeddings differ in width.
        InvalidOption: there is no teacher.

    Example::

        evaluator = SparseMSEEvaluator(["Good day!"], ["Good day!"], teacher_model=teacher)
        student.evaluate(evaluator)["negative_mse"]
    """

    def __init__(
        self,
        source_sentences: Sequence[Any],
        target_sentences: Sequence[Any],
        teacher_model: Any = None,
        show_progress_bar: bool = False,
        batch_size: int = 32,
        name: str = "",
        write_csv: bool = True,
        max_active_dims: int | None = None,
    ) -> None:
        self.max_active_dims = max_active_dims
        self._recorded = {}
        super().__init__(
            source_sentences,
            target_sentences,
            teacher_model=teacher_model,
            show_progress_bar=show_progress_bar,
            batch_size=batch_size,
            name=name,
            write_csv=write_csv,
        )
        self.csv_headers += self.sparsity_columns

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """Sparse embeddings ``[n, d]``."""
        embeddings = self.encode_sparse(model, sentences, **kwargs)
        self.record(model, embeddings)
        return embeddings
