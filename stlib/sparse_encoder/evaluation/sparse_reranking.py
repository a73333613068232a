"""How well a sparse model orders the documents that were found for a query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from stlib.sentence_transformer.evaluation.reranking import RerankingEvaluator
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator, method_of
from stlib.util.similarity import cos_sim

_GROUPS = ("query", "corpus")


class SparseRerankingEvaluator(SparseEvaluator, RerankingEvaluator):
    """:class:`~stlib.evaluation.RerankingEvaluator` of a sparse model; also ``query_active_dims``,
    ``query_sparsity_ratio`` and the same of ``corpus``. Encoded one by one, samples count alike, however many
    documents they have.

    Args:
        samples, at_k, name, write_csv, similarity_fct, batch_size, show_progress_bar, use_batched_encoding,
            mrr_at_k: see there. Embeddings come as sparse tensors.
        max_active_dims: keep the so many largest values of each embedding; default: the model's.

    Raises:
        InvalidInput: a sample lacks a key, or none has positives and negatives.
        InvalidOption: ``at_k`` is below 1.
    """

    sparsity_columns = tuple(f"{g}_{name}" for g in _GROUPS for name in SparseEvaluator.sparsity_columns)

    def __init__(
        self,
        samples: Iterable[Mapping[str, Any]] | Mapping[Any, Mapping[str, Any]],
        at_k: int = 10,
        name: str = "",
        write_csv: bool = True,
        similarity_fct: Callable[[Tensor, Tensor], Tensor] = cos_sim,
        batch_size: int = 64,
        show_progress_bar: bool = False,
        use_batched_encoding: bool = True,
        max_active_dims: int | None = None,
        mrr_at_k: int | None = None,
    ) -> None:
        self.max_active_dims = max_active_dims
        super().__init__(
            samples,
            at_k=at_k,
            name=name,
            write_csv=write_csv,
            similarity_fct=similarity_fct,
            batch_size=batch_size,
            show_progress_bar=show_progress_bar,
            use_batched_encoding=use_batched_encoding,
            mrr_at_k=mrr_at_k,
        )
        self.csv_headers += self.sparsity_columns

    def _measure(self, embedded: Iterator[tuple[Any, Any]]) -> dict[str, float]:
        return super()._measure((_matrix(query), _matrix(documents)) for query, documents in embedded)

    def embed_inputs(
        self,
        model: Any,
        sentences: Any,
        encode_fn_name: str | None = None,
        show_progress_bar: bool | None = None,
        **kwargs: Any,
    ) -> list[Tensor]:
        """A sparse embedding ``[d]`` for each input: rows of a sparse matrix cannot be sliced."""
        options = {"show_progress_bar": show_progress_bar, "convert_to_tensor": False, **kwargs}
        embeddings = self.encode_sparse(model, sentences, method_of(encode_fn_name), **options)
        self.record(model, torch.stack(embeddings), "corpus" if encode_fn_name == "document" else "query")
        return embeddings


def _matrix(rows: Any) -> Tensor:
    return torch.stack(rows) if isinstance(rows, list) else rows
