"""How often the nearest neighbour of a sentence's sparse embedding is its translation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from stlib.sentence_transformer.evaluation.translation import TranslationEvaluator
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator


class SparseTranslationEvaluator(SparseEvaluator, TranslationEvaluator):
    """:class:`~stlib.evaluation.TranslationEvaluator` of a sparse model; also ``active_dims`` and
    ``sparsity_ratio``.

    Args:
        source_sentences, target_sentences, show_progress_bar, batch_size, name, print_wrong_matches,
            write_csv: see there.
        max_active_dims: keep the so many largest values of each embedding; default: the model's.

    Raises:
        InvalidInput: the columns are empty or differ in length.

    Example::

        evaluator = SparseTranslationEvaluator(["Good day!", "Thank you."], ["Guten Tag!", "Danke."])
        model.evaluate(evaluator)["mean_accuracy"]
    """

    def __init__(
        self,
        source_sentences: Sequence[Any],
        target_sentences: Sequence[Any],
        show_progress_bar: bool = False,
        batch_size: int = 16,
        name: str = "",
        print_wrong_matches: bool = False,
        write_csv: bool = True,
        max_active_dims: int | None = None,
    ) -> None:
        self.max_active_dims = max_active_dims
        super().__init__(
            source_sentences,
            target_sentences,
            show_progress_bar=show_progress_bar,
            batch_size=batch_size,
            name=name,
            print_wrong_matches=print_wrong_matches,
            write_csv=write_csv,
        )
        self.csv_headers += self.sparsity_columns

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        """Sparse embeddings ``[n, d]``."""
        embeddings = self.encode_sparse(model, sentences, **kwargs)
        self.record(model, embeddings)
        return embeddings
