"""Retrieval by a sparse model measured on several small datasets, and their mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from stlib.base.evaluation.nano_datasets import NANO_BEIR_EN
from stlib.base.evaluation.retrieval import ScoreFunctions
from stlib.sentence_transformer.evaluation.nano_beir import NanoBEIREvaluator
from stlib.sparse_encoder.evaluation.sparse_information_retrieval import SparseInformationRetrievalEvaluator
from stlib.sparse_encoder.evaluation.sparsity import SparseEvaluator
from stlib.util.similarity_function import SimilarityFunction


class SparseNanoBEIREvaluator(SparseEvaluator, NanoBEIREvaluator):
    """:class:`~stlib.evaluation.NanoBEIREvaluator` of a sparse model, which runs a
    :class:`SparseInformationRetrievalEvaluator` on each dataset.

    Means of ``query_active_dims`` and its relatives are over all queries and documents of all datasets, and
    ``avg_flops`` is that of all of them together.

    Args:
        dataset_names, dataset_id, mrr_at_k, ndcg_at_k, accuracy_at_k, precision_recall_at_k, map_at_k,
            show_progress_bar, batch_size, write_csv, score_functions, main_score_function, aggregate_fn,
            aggregate_key, query_prompts, corpus_prompts, write_predictions: see there.
        max_active_dims: keep the so many largest values of each embedding; default: the model's. The number
            becomes part of all names.

    Raises:
        InvalidOption: a name is unknown, there is none, or a prompt is missing.
        InvalidInput: a dataset cannot be loaded or read.
        MissingDependency: the hub is asked without the package ``datasets``.
    """

    information_retrieval_class = SparseInformationRetrievalEvaluator
    sparsity_columns = SparseInformationRetrievalEvaluator.sparsity_columns
    evaluators: list[SparseInformationRetrievalEvaluator]  # type: ignore[assignment]

    def __init__(
        self,
        dataset_names: Sequence[str] | None = None,
        dataset_id: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = NANO_BEIR_EN,
        mrr_at_k: Sequence[int] = (10,),
        ndcg_at_k: Sequence[int] = (10,),
        accuracy_at_k: Sequence[int] = (1, 3, 5, 10),
        precision_recall_at_k: Sequence[int] = (1, 3, 5, 10),
        map_at_k: Sequence[int] = (100,),
        show_progress_bar: bool = False,
        batch_size: int = 32,
        write_csv: bool = True,
        max_active_dims: int | None = None,
        score_functions: ScoreFunctions | None = None,
        main_score_function: str | SimilarityFunction | None = None,
        aggregate_fn: Callable[[list[float]], Any] = np.mean,
        aggregate_key: str = "mean",
        query_prompts: str | dict[str, str] | None = None,
        corpus_prompts: str | dict[str, str] | None = None,
        write_predictions: bool = False,
    ) -> None:
        self.max_active_dims = max_active_dims
        super().__init__(
            dataset_names,
            dataset_id,
            mrr_at_k=mrr_at_k,
            ndcg_at_k=ndcg_at_k,
            accuracy_at_k=accuracy_at_k,
            precision_recall_at_k=precision_recall_at_k,
            map_at_k=map_at_k,
            show_progress_bar=show_progress_bar,
            batch_size=batch_size,
            write_csv=write_csv,
            score_functions=score_functions,
            main_score_function=main_score_function,
            aggregate_fn=aggregate_fn,
            aggregate_key=aggregate_key,
            query_prompts=query_prompts,
            corpus_prompts=corpus_prompts,
            write_predictions=write_predictions,
        )
        if max_active_dims is not None:
            self.name += f"_{max_active_dims}"

    def evaluator_of(self, dataset_name: str, **options: Any) -> SparseInformationRetrievalEvaluator:
        """The evaluator of one dataset."""
        del options["truncate_dim"]
        made = super().evaluator_of(dataset_name, max_active_dims=self.max_active_dims, **options)
        assert isinstance(made, SparseInformationRetrievalEvaluator)
        return made

    def readable_name(self, dataset_name: str) -> str:
        """The name in front of a dataset's metrics, such as ``NanoMSMARCO``."""
        name = super().readable_name(dataset_name)
        return name if self.max_active_dims is None else f"{name}_{self.max_active_dims}"

    def _columns(self) -> list[str]:
        columns = super()._columns()
        return [*columns, *self.sparsity_columns] if self.score_function_names else columns

    def summarize_sparsity(self) -> dict[str, float]:
        """Means over the queries and the documents of all datasets."""
        sizes = {
            "query": [len(evaluator.queries) for evaluator in self.evaluators],
            "corpus": [len(evaluator.corpus) for evaluator in self.evaluators],
        }
        found = {
            name: float(
                np.average(
                    [evaluator.sparsity_stats[name] for evaluator in self.evaluators],
                    weights=sizes[name.partition("_")[0]],
                )
            )
            for name in self.sparsity_columns[:-1]
        }
        queries, documents = (
            np.average([e.share_active(group).numpy() for e in self.evaluators], axis=0, weights=of_group)
            for group, of_group in sizes.items()
        )
        return {**found, "avg_flops": float(queries @ documents)}

    def metrics_for_card(self, metrics: dict[str, float]) -> dict[str, float]:
        """The averages; each dataset hands in its own."""
        return {name: value for name, value in metrics.items() if name.startswith(self.name)}
