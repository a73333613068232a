"""How well a sparse model finds the relevant documents of queries in a corpus, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from stlib.base.evaluation.retrieval import ScoreFunctions
from stlib.sentence_transformer.evaluation.information_retrieval import (
    InformationRetrievalEvaluator,
    Judgments,
)
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator, method_of
from stlib.sparse_encoder.model import SparseEncoder
from stlib.util.similarity_function import SimilarityFunction

GROUPS = ("query", "corpus")


class SparseInformationRetrievalEvaluator(SparseEvaluator, InformationRetrievalEvaluator):
    """:class:`~stlib.evaluation.InformationRetrievalEvaluator` of a sparse model.

    It adds ``query_active_dims``, ``query_sparsity_ratio``, the same of ``corpus``, and ``avg_flops``: how
    many multiplications a query and a document have in common on average, the sum over all dimensions of
    the share of queries that use it times the share of documents that do. A search through an inverted index
    costs that many per document.

    Args:
        queries, corpus, relevant_docs, corpus_chunk_size, mrr_at_k, ndcg_at_k, accuracy_at_k,
            precision_recall_at_k, map_at_k, show_progress_bar, batch_size, name, write_csv, score_functions,
            main_score_function, query_prompt, query_prompt_name, corpus_prompt, corpus_prompt_name,
            write_predictions: see there. Score functions get sparse tensors.
        max_active_dims: keep the so many largest values of each embedding; default: the model's.

    Raises:
        InvalidInput: there is no corpus, no query with a relevant document, or an argument of a wrong form.
        InvalidOption: a cut-off or size below 1, or an unknown main score function.

    Example::

        evaluator = SparseInformationRetrievalEvaluator(
            queries={"q1": "how do birds fly"},
            corpus={"d1": "Wings lift a bird.", "d2": "Bread is baked in an oven."},
            relevant_docs={"q1": {"d1"}},
            max_active_dims=64,
        )
        model.evaluate(evaluator)["dot_ndcg@10"]
    """

    sparsity_columns = (
        *(f"{g}_{name}" for g in GROUPS for name in SparseEvaluator.sparsity_columns),
        "avg_flops",
    )
    similarity_methods: ClassVar[tuple[Any, ...]] = (SparseEncoder.similarity,)

    count_vectors: dict[str, Tensor]
    """Per group, how many texts use each dimension: ``[d]``."""
    count_lengths: dict[str, list[int]]
    """Per group, how many texts each call of the model was about."""

    def __init__(
        self,
        queries: dict[Any, Any],
        corpus: dict[Any, Any],
        relevant_docs: Mapping[Any, Judgments],
        corpus_chunk_size: int = 50000,
        mrr_at_k: Sequence[int] = (10,),
        ndcg_at_k: Sequence[int] = (10,),
        accuracy_at_k: Sequence[int] = (1, 3, 5, 10),
        precision_recall_at_k: Sequence[int] = (1, 3, 5, 10),
        map_at_k: Sequence[int] = (100,),
        show_progress_bar: bool = False,
        batch_size: int = 32,
        name: str = "",
        write_csv: bool = True,
        max_active_dims: int | None = None,
        score_functions: ScoreFunctions | None = None,
        main_score_function: str | SimilarityFunction | None = None,
        query_prompt: str | None = None,
        query_prompt_name: str | None = None,
        corpus_prompt: str | None = None,
        corpus_prompt_name: str | None = None,
        write_predictions: bool = False,
    ) -> None:
        self.max_active_dims = max_active_dims
        self._forget()
        super().__init__(
            queries,
            corpus,
            relevant_docs,
            corpus_chunk_size=corpus_chunk_size,
            mrr_at_k=mrr_at_k,
            ndcg_at_k=ndcg_at_k,
            accuracy_at_k=accuracy_at_k,
            precision_recall_at_k=precision_recall_at_k,
            map_at_k=map_at_k,
            show_progress_bar=show_progress_bar,
            batch_size=batch_size,
            name=name,
            write_csv=write_csv,
            score_functions=score_functions,
            main_score_function=main_score_function,
            query_prompt=query_prompt,
            query_prompt_name=query_prompt_name,
            corpus_prompt=corpus_prompt,
            corpus_prompt_name=corpus_prompt_name,
            write_predictions=write_predictions,
        )

    def __call__(
        self,
        model: Any,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Metrics by name. Further arguments go to :meth:`compute_all_metrics`."""
        self._forget()
        return super().__call__(model, output_path, epoch, steps, *args, **kwargs)

    def _forget(self) -> None:
        self._recorded = {}
        self.count_vectors = {}
        self.count_lengths = {group: [] for group in GROUPS}

    def _columns(self) -> list[str]:
        columns = super()._columns()
        return [*columns, *self.sparsity_columns] if self.score_function_names else columns

    def _embed_corpus(self, model: Any, embeddings: Any) -> Iterator[tuple[int, Any]]:
        for start, rows in super()._embed_corpus(model, embeddings):
            if embeddings is not None:  # nothing was embedded, so nothing is recorded yet
                rows = rows.cpu()
                self.record(model, rows, "corpus")
            yield start, rows

    def embed_inputs(
        self,
        model: Any,
        sentences: Any,
        encode_fn_name: str | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        **kwargs: Any,
    ) -> Tensor:
        """Sparse embeddings ``[n, d]`` by ``encode``, or by ``encode_{encode_fn_name}`` (``"query"``,
        ``"document"``).
        """
        method = method_of(encode_fn_name)
        embeddings = self.encode_sparse(
            model, sentences, method, prompt_name=prompt_name, prompt=prompt, **kwargs
        )
        self.record(model, embeddings, "corpus" if encode_fn_name == "document" else "query")
        return embeddings

    def record(self, model: Any, embeddings: Any, group: str = "") -> None:
        """As the base, and count how many of the texts use each dimension."""
        super().record(model, embeddings, group)
        counts = count_active(embeddings)
        before = self.count_vectors.get(group)
        self.count_vectors[group] = counts if before is None else before + counts
        self.count_lengths[group].append(len(embeddings))

    def summarize_sparsity(self) -> dict[str, float]:
        """Means over all queries and all documents, and ``avg_flops``."""
        found = {
            name: float(np.average(values, weights=self.count_lengths[name.partition("_")[0]]))
            for name, values in self._recorded.items()
        }
        return {**found, "avg_flops": float(self.share_active("query") @ self.share_active("corpus"))}

    def share_active(self, group: str) -> Tensor:
        """The share of a group's texts that use each dimension: ``[d]``."""
        return self.count_vectors[group].double() / sum(self.count_lengths[group])


def count_active(embeddings: Tensor) -> Tensor:
    """How many of ``[n, d]`` embeddings are not zero in each dimension: ``[d]``."""
    if not embeddings.is_sparse:
        return (embeddings != 0).sum(dim=0)
    embeddings = embeddings.coalesce()
    dimensions = embeddings.indices()[1][embeddings.values() != 0]
    return dimensions.bincount(minlength=embeddings.shape[1])
