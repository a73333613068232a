"""Reranking measured on several small retrieval datasets, and its mean."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from stlib.base.evaluation.beir import RetrievalData, hub_rows, read_beir, read_hub
from stlib.base.evaluation.bm25 import BM25
from stlib.base.evaluation.csv_file import append_row, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.nano_datasets import (
    DATASET_NAME_TO_HUMAN_READABLE,
    NANO_BEIR_EN,
    DatasetNameType,
    check_names,
    local_folders,
    match_name,
)
from stlib.cross_encoder.evaluation.reranking import CrossEncoderRerankingEvaluator, metric_names
from stlib.errors import InvalidInput, InvalidOption

logger = logging.getLogger(__name__)

# What they look for are arguments, another task than that of the others.
_ARGUMENTS = ("arguana", "touche2020")


class CrossEncoderNanoBEIREvaluator(BaseEvaluator):
    """Runs a :class:`CrossEncoderRerankingEvaluator` on what BM25 found in each of several datasets, and
    averages the metrics.

    Metrics of a dataset are named like ``NanoMSMARCO_R100_ndcg@10``, with those of BM25's own order as
    ``NanoMSMARCO_R100_base_ndcg@10``; averages like ``NanoBEIR_R100_mean_ndcg@10``, the primary one.

    Args:
        dataset_names: names such as ``"msmarco"``, in any case; default: all of the folders, or all of
            NanoBEIR but ArguAna and Touche2020, which are about arguments.
        dataset_id: where the datasets come from.

            - A dataset on the hub with the subsets ``corpus``, ``queries``, ``qrels`` and ``bm25`` (document
              ids for each query, best first) and a split such as ``NanoMSMARCO`` in each (needs the package
              ``datasets``).
            - A folder whose sub-folders are datasets in BEIR's layout (see
              :func:`stlib.base.evaluation.beir.read_beir`), or one such dataset. Names are those of the
              sub-folders; ``Nano`` in front of them may be left out. BM25 is run here, with
              :class:`stlib.base.evaluation.bm25.BM25`.
            - A dict of such datasets' folders by name.
        rerank_k: documents of each query that are re-ordered.
        at_k: documents looked at for MRR and NDCG.
        always_rerank_positives: score all relevant documents; False scores only what BM25 found.
        prompt_name: name of the model's prompt to use.
        batch_size: for ``model.predict``.
        show_progress_bar: show bars.
        write_csv: append a row to ``NanoBEIR_evaluation_{aggregate_key}_results.csv``, and to a file per
            dataset, at each call.
        aggregate_fn: makes one number of the numbers of all datasets.
        aggregate_key: what that is called.

    Raises:
        InvalidOption: a name is unknown, or there is none.
        InvalidInput: a dataset cannot be loaded or read.
        MissingDependency: the hub is asked without the package ``datasets``.

    Example::

        evaluator = CrossEncoderNanoBEIREvaluator(["msmarco", "nq"])
        # or without a network: CrossEncoderNanoBEIREvaluator(dataset_id="my/folder/of/beir/datasets")
        results = evaluator(model)
        print(results[evaluator.primary_metric])  # NanoBEIR_R100_mean_ndcg@10
    """

    def __init__(
        self,
        dataset_names: Sequence[DatasetNameType | str] | None = None,
        dataset_id: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = NANO_BEIR_EN,
        rerank_k: int = 100,
        at_k: int = 10,
        always_rerank_positives: bool = True,
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        aggregate_fn: Callable[[list[float]], Any] = np.mean,
        aggregate_key: str = "mean",
    ) -> None:
        if rerank_k < 1:
            raise InvalidOption(f"rerank_k is {rerank_k}; use 1 or more")
        self.dataset_id = dataset_id
        self._folders = local_folders(dataset_id)
        if dataset_names is None and self._folders is None:
            dataset_names = [name for name in DATASET_NAME_TO_HUMAN_READABLE if name not in _ARGUMENTS]
        self.dataset_names = check_names(dataset_names, self._folders)
        self.rerank_k = rerank_k
        self.at_k = at_k
        self.always_rerank_positives = always_rerank_positives
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.aggregate_fn = aggregate_fn
        self.aggregate_key = aggregate_key
        self.name = f"NanoBEIR_R{rerank_k}_{aggregate_key}"
        self.csv_file = f"NanoBEIR_evaluation_{aggregate_key}_results.csv"
        self.csv_headers = ["epoch", "steps", *map(str.upper, metric_names(at_k))]
        self.primary_metric = f"ndcg@{at_k}"
        names = tqdm(self.dataset_names, desc="Loading NanoBEIR datasets", leave=False)
        self.evaluators = [self.evaluator_of(name) for name in names]

    def evaluator_of(self, dataset_name: str) -> CrossEncoderRerankingEvaluator:
        """The evaluator of one dataset."""
        return CrossEncoderRerankingEvaluator(
            self.samples_of(dataset_name),
            at_k=self.at_k,
            always_rerank_positives=self.always_rerank_positives,
            name=self.readable_name(dataset_name),
            prompt_name=self.prompt_name,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            write_csv=self.write_csv,
        )

    def samples_of(self, dataset_name: str) -> list[dict[str, Any]]:
        """Query, relevant documents and the first ``rerank_k`` of BM25, of each query of one dataset."""
        if self._folders is not None:
            data = read_beir(self._folders[match_name(dataset_name, self._folders)])
            bm25 = BM25(data.corpus)
            queries = {name: text for name, text in data.queries.items() if name in data.relevant_docs}
            found = {name: bm25.search(text, self.rerank_k) for name, text in queries.items()}
        else:
            split = f"Nano{DATASET_NAME_TO_HUMAN_READABLE[dataset_name.lower()]}"
            data = read_hub(str(self.dataset_id), split, keep_empty=True)
            rows = hub_rows(str(self.dataset_id), "bm25", split, ["query-id", "corpus-ids"])
            found = {row["query-id"]: row["corpus-ids"][: self.rerank_k] for row in rows}
        return [_sample(data, query, documents) for query, documents in found.items()]

    def readable_name(self, dataset_name: str) -> str:
        """The name in front of a dataset's metrics, such as ``NanoMSMARCO_R100``."""
        known = DATASET_NAME_TO_HUMAN_READABLE.get(dataset_name.lower())
        return f"{f'Nano{known}' if known else dataset_name}_R{self.rerank_k}"

    def __call__(
        self,
        model: Any,
        output_path: str | None = None,
        epoch: int = -1,
        steps: int = -1,
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, float]:
        """Metrics of every dataset and their averages, by name."""
        logger.info("NanoBEIR: reranking on %s%s:", self.dataset_names, moment(epoch, steps))
        by_dataset: dict[str, float] = {}
        collected: dict[str, list[float]] = {}
        for evaluator in tqdm(
            self.evaluators, desc="Evaluating datasets", disable=not self.show_progress_bar
        ):
            found = evaluator(model, output_path, epoch, steps)
            by_dataset.update(found)
            for name, value in found.items():
                collected.setdefault(name.removeprefix(f"{evaluator.name}_"), []).append(value)
        averages = {name: self.aggregate_fn(values) for name, values in collected.items()}
        metrics = metric_names(self.at_k)
        for name in metrics:
            logger.info(
                "%s: %.2f -> %.2f", name.upper(), averages[f"base_{name}"] * 100, averages[name] * 100
            )
        if self.write_csv:
            row = [epoch, steps, *(averages[name] for name in metrics)]
            append_row(output_path, self.csv_file, self.csv_headers, row)
        averages = self.prefix_name_to_metrics(averages, self.name)
        self.store_metrics_in_model_card_data(model, averages, epoch, steps)
        return {**by_dataset, **averages}

    def get_config_dict(self) -> dict[str, Any]:
        """Datasets, and how they are reranked."""
        names = ("dataset_names", "dataset_id", "rerank_k", "at_k", "always_rerank_positives")
        return {name: getattr(self, name) for name in names}


def _sample(data: RetrievalData, query: str, documents: Sequence[str]) -> dict[str, Any]:
    try:
        return {
            "query": data.queries[query],
            "positive": [data.corpus[name] for name in sorted(data.relevant_docs[query])],
            "documents": [data.corpus[name] for name in documents],
        }
    except KeyError as error:
        raise InvalidInput(
            f"{error} is among the judgments or the results of BM25 and has no text, or the query {query!r} "
            "has no judgment; complete the dataset"
        ) from error
