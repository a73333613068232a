"""Retrieval measured on several small datasets, and their mean."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from stlib.base.evaluation.beir import RetrievalData, read_beir, read_hub
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.nano_datasets import (
    DATASET_NAME_TO_HUMAN_READABLE,
    NANO_BEIR_EN,
    DatasetNameType,
    check_names,
    local_folders,
    match_name,
)
from stlib.base.evaluation.retrieval import (
    RetrievalEvaluator,
    ScoreFunctions,
    Scores,
    log_scores,
)
from stlib.errors import InvalidOption
from stlib.sentence_transformer.evaluation.information_retrieval import InformationRetrievalEvaluator
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)


class NanoBEIREvaluator(RetrievalEvaluator):
    """Runs an :class:`InformationRetrievalEvaluator` on each of several datasets and averages the metrics.

    NanoBEIR is a collection of thirteen retrieval datasets of 50 queries and some thousand documents each,
    cut out of BEIR. The metrics of a dataset are named ``{dataset}_{score function}_{metric}``, such as
    ``NanoMSMARCO_cosine_ndcg@10``; the averages ``NanoBEIR_{aggregate_key}_{score function}_{metric}``.

    Args:
        dataset_names: names such as ``"msmarco"``, in any case; by default all there are.
        dataset_id: where the datasets come from.

            - A dataset on the hub with the subsets ``corpus``, ``queries`` and ``qrels`` and a split such as
              ``NanoMSMARCO`` in each, or a folder with a copy of one (needs the package ``datasets``). Names
              are those of NanoBEIR; of a copy with fewer splits, name those there are.
            - A folder whose sub-folders are datasets in BEIR's layout, each with ``corpus.jsonl``,
              ``queries.jsonl`` and ``qrels/test.tsv`` (see :func:`stlib.base.evaluation.beir.read_beir`), or
              one such dataset. Names are those of the sub-folders; ``Nano`` in front of them may be left out.
            - A dict of such datasets' folders by name.
        mrr_at_k: cut-offs, as for the following four those of :class:`InformationRetrievalEvaluator`.
        ndcg_at_k: cut-offs; the largest one decides between models.
        accuracy_at_k: cut-offs.
        precision_recall_at_k: cut-offs.
        map_at_k: cut-offs.
        show_progress_bar: show bars.
        batch_size: passed to ``encode``.
        write_csv: append a row to ``NanoBEIR_evaluation_{aggregate_key}_results.csv``, and to a file per
            dataset, at each call.
        truncate_dim: use the first so many dimensions; default: the model's ``truncate_dim``.
        score_functions: functions by name; by default the similarity of the model that is evaluated.
        main_score_function: whose NDCG is the primary metric; by default the best one at the first call.
        aggregate_fn: makes one number of the numbers of all datasets.
        aggregate_key: what that is called.
        query_prompts: text in front of each query, for all datasets or by the names in ``dataset_names``.
        corpus_prompts: text in front of each document, likewise.
        write_predictions: write the results of each query, a file per dataset and score function.

    Raises:
        InvalidOption: a name is unknown, there is none, or a prompt is missing.
        InvalidInput: a dataset cannot be loaded or read.
        MissingDependency: the hub is asked without the package ``datasets``.

    Example:
        ::

            from stlib import SentenceTransformer
            from stlib.evaluation import NanoBEIREvaluator

            evaluator = NanoBEIREvaluator(["msmarco", "nq"])
            # or without a network: NanoBEIREvaluator(dataset_id="my/folder/of/beir/datasets")
            results = evaluator(SentenceTransformer("stlib-static-en"))
            print(results[evaluator.primary_metric])  # NanoBEIR_mean_cosine_ndcg@10
    """

    information_retrieval_class: type[InformationRetrievalEvaluator] = InformationRetrievalEvaluator
    """What evaluates one dataset."""

    def __init__(
        self,
        dataset_names: Sequence[DatasetNameType | str] | None = None,
        dataset_id: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]] = NANO_BEIR_EN,
        mrr_at_k: Sequence[int] = (10,),
        ndcg_at_k: Sequence[int] = (10,),
        accuracy_at_k: Sequence[int] = (1, 3, 5, 10),
        precision_recall_at_k: Sequence[int] = (1, 3, 5, 10),
        map_at_k: Sequence[int] = (100,),
        show_progress_bar: bool = False,
        batch_size: int = 32,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        score_functions: ScoreFunctions | None = None,
        main_score_function: str | SimilarityFunction | None = None,
        aggregate_fn: Callable[[list[float]], Any] = np.mean,
        aggregate_key: str = "mean",
        query_prompts: str | dict[str, str] | None = None,
        corpus_prompts: str | dict[str, str] | None = None,
        write_predictions: bool = False,
    ) -> None:
        self.dataset_id = dataset_id
        self._folders = local_folders(dataset_id)
        self.dataset_names = check_names(dataset_names, self._folders)
        self.query_prompts = _by_name(query_prompts, self.dataset_names, "query_prompts")
        self.corpus_prompts = _by_name(corpus_prompts, self.dataset_names, "corpus_prompts")
        self.mrr_at_k, self.ndcg_at_k, self.map_at_k = list(mrr_at_k), list(ndcg_at_k), list(map_at_k)
        self.accuracy_at_k = list(accuracy_at_k)
        self.precision_recall_at_k = list(precision_recall_at_k)
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self.aggregate_fn = aggregate_fn
        self.aggregate_key = aggregate_key
        self.name = f"NanoBEIR_{aggregate_key}" + (f"_{truncate_dim}" if truncate_dim else "")
        self.csv_file = file_name(f"NanoBEIR_evaluation_{aggregate_key}_results.csv")
        self._set_scoring(score_functions, main_score_function)
        options = {
            "mrr_at_k": mrr_at_k,
            "ndcg_at_k": ndcg_at_k,
            "accuracy_at_k": accuracy_at_k,
            "precision_recall_at_k": precision_recall_at_k,
            "map_at_k": map_at_k,
            "show_progress_bar": show_progress_bar,
            "batch_size": batch_size,
            "write_csv": write_csv,
            "truncate_dim": truncate_dim,
            "score_functions": score_functions,
            "main_score_function": main_score_function,
            "write_predictions": write_predictions,
        }
        names = tqdm(self.dataset_names, desc="Loading NanoBEIR datasets", leave=False)
        self.evaluators = [self.evaluator_of(name, **options) for name in names]

    def evaluator_of(self, dataset_name: str, **options: Any) -> InformationRetrievalEvaluator:
        """The evaluator of one dataset; families with other options change them here."""
        if self.query_prompts is not None:
            options["query_prompt"] = self.query_prompts[dataset_name]
        if self.corpus_prompts is not None:
            options["corpus_prompt"] = self.corpus_prompts[dataset_name]
        data = self.read_dataset(dataset_name)
        return self.information_retrieval_class(
            data.queries, data.corpus, data.relevant_docs, name=self.readable_name(dataset_name), **options
        )

    def read_dataset(self, dataset_name: str) -> RetrievalData:
        """The data of one dataset, from a folder or the hub."""
        if self._folders is not None:
            return read_beir(self._folders[match_name(dataset_name, self._folders)])
        return read_hub(str(self.dataset_id), f"Nano{DATASET_NAME_TO_HUMAN_READABLE[dataset_name.lower()]}")

    def readable_name(self, dataset_name: str) -> str:
        """The name in front of a dataset's metrics, such as ``NanoMSMARCO``."""
        known = DATASET_NAME_TO_HUMAN_READABLE.get(dataset_name.lower())
        name = f"Nano{known}" if known else dataset_name
        return name if self.truncate_dim is None else f"{name}_{self.truncate_dim}"

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
        when = moment(epoch, steps, self.truncate_dim)
        logger.info("NanoBEIR Evaluation of the model on %s dataset%s:", self.dataset_names, when)
        self._follow(model)
        by_dataset: dict[str, float] = {}
        collected: dict[str, list[float]] = {}
        for evaluator in tqdm(
            self.evaluators, desc="Evaluating datasets", disable=not self.show_progress_bar
        ):
            logger.info("Evaluating %s", evaluator.name)
            found = evaluator(model, output_path, epoch, steps)
            by_dataset.update(found)
            for name, value in found.items():
                collected.setdefault(name.removeprefix(f"{evaluator.name}_"), []).append(value)
        averages = {name: self.aggregate_fn(values) for name, values in collected.items()}
        scores = self._as_scores(averages)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, self._row(epoch, steps, scores))
        self._choose_primary_metric(scores)
        self._log(scores)
        averages = self.prefix_name_to_metrics(averages, self.name)
        self.store_metrics_in_model_card_data(model, averages, epoch, steps)
        return {**by_dataset, **averages}

    def score_functions_of(self, model: Any) -> ScoreFunctions:
        """Those of the evaluators of the datasets."""
        return self.evaluators[0].score_functions_of(model)

    def _as_scores(self, averages: Mapping[str, float]) -> dict[str, Scores]:
        """Averages by score function, kind of metric and cut-off."""
        return {
            name: {
                kind: {k: averages[f"{name}_{kind.replace('@k', f'@{k}')}"] for k in ks}
                for kind, ks in self._cutoffs.by_kind().items()
            }
            for name in self.score_function_names
        }

    def _log(self, scores: Mapping[str, Scores]) -> None:
        logger.info("Average Queries: %s", np.mean([len(e.queries) for e in self.evaluators]))
        logger.info("Average Corpus: %s\n", np.mean([len(e.corpus) for e in self.evaluators]))
        for name in self.score_function_names:
            logger.info("Aggregated for Score Function: %s", name)
            log_scores(scores[name])

    def store_metrics_in_model_card_data(
        self, model: Any, metrics: dict[str, float], epoch: int = 0, step: int = 0
    ) -> None:
        """Averages of several datasets; those of one would only repeat it."""
        if len(self.dataset_names) > 1:
            super().store_metrics_in_model_card_data(model, metrics, epoch, step)

    def get_config_dict(self) -> dict[str, Any]:
        """Datasets, truncation and prompts, as far as they are set."""
        config: dict[str, Any] = {"dataset_names": self.dataset_names, "dataset_id": self.dataset_id}
        names = ("truncate_dim", "query_prompts", "corpus_prompts")
        return {**config, **{name: getattr(self, name) for name in names if getattr(self, name) is not None}}


def _by_name(
    prompts: str | dict[str, str] | None, names: Sequence[str], argument: str
) -> dict[str, str] | None:
    if prompts is None or isinstance(prompts, str):
        return None if prompts is None else dict.fromkeys(names, prompts)
    missing = [name for name in names if name not in prompts]
    if missing:
        raise InvalidOption(f"{argument} has no prompt for: {', '.join(missing)}")
    return prompts
