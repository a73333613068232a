"""How well a model re-orders the documents that were found for a query, and what it gains by that."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stlib.base.evaluation.csv_file import append_row, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.cross_encoder.evaluation.scoring import single_scores_of
from stlib.errors import InvalidInput, InvalidOption
from stlib.util.ranking_metrics import average_precision, tied_mrr_at_k, tied_ndcg_at_k

logger = logging.getLogger(__name__)

_NOTHING = (0.0, 0.0, 0.0)


def metric_names(at_k: int) -> tuple[str, str, str]:
    """The metrics in the order of a row of the CSV file, whose headers are the same in capitals."""
    return "map", f"mrr@{at_k}", f"ndcg@{at_k}"


class CrossEncoderRerankingEvaluator(BaseEvaluator):
    """Orders the documents of each query by their score and measures the rankings.

    Metrics are ``map``, ``mrr@{at_k}`` and ``ndcg@{at_k}``, the primary one, averaged over the samples. Of
    samples with ``documents``, which are in the order in which a first stage found them, the same of that
    order are ``base_map``, ``base_mrr@{at_k}`` and ``base_ndcg@{at_k}``; positives that it did not find
    count as its last. A sample in which nothing relevant can be ranked counts 0. Documents of equal score
    have no order: NDCG and MRR are averaged over all their orders, MAP takes them in at once. Sources:
    :mod:`stlib.util.ranking_metrics`.

    Args:
        samples: dicts with ``query``, ``positive`` (relevant documents, or one) and either ``negative``
            (documents that are not) or ``documents`` (those that were found, best first). A dict of such
            dicts works as well.
        at_k: documents looked at for MRR and NDCG.
        always_rerank_positives: score all positives, which shows best what a training changes; False scores
            only what is among ``documents``, as in use.
        name: prefix of the metrics, and part of the CSV file's name.
        prompt_name: name of the model's prompt to use.
        batch_size: for ``model.predict``.
        show_progress_bar: show a bar.
        write_csv: append a row to ``CrossEncoderRerankingEvaluator[_{name}]_results_@{at_k}.csv``.
        mrr_at_k: older name of ``at_k``.

    Raises:
        InvalidInput: there is no sample, or one lacks a key.
        InvalidOption: ``at_k`` is below 1.

    Example::

        samples = [
            {
                "query": "how do birds fly",
                "positive": ["Wings lift a bird."],
                "documents": ["Bread is baked.", "Wings lift a bird.", "Rivers flow to the sea."],
            }
        ]
        evaluator = CrossEncoderRerankingEvaluator(samples, name="tiny")
        results = evaluator(model)
        print(results["tiny_base_ndcg@10"], results["tiny_ndcg@10"])
    """

    def __init__(
        self,
        samples: Iterable[Mapping[str, Any]] | Mapping[Any, Mapping[str, Any]],
        at_k: int = 10,
        always_rerank_positives: bool = True,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 64,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        mrr_at_k: int | None = None,
    ) -> None:
        if mrr_at_k is not None:
            logger.warning("mrr_at_k has become at_k; use at_k=%d", mrr_at_k)
            at_k = mrr_at_k
        if at_k < 1:
            raise InvalidOption(f"at_k is {at_k}; use 1 or more")
        self.samples = list(samples.values() if isinstance(samples, Mapping) else samples)
        if not self.samples:
            raise InvalidInput(
                "there is no sample; give dicts with query, positive and documents or negative"
            )
        for position, sample in enumerate(self.samples):
            _check(position, sample)
        self.at_k = at_k
        self.always_rerank_positives = always_rerank_positives
        self.name = name
        self.prompt_name = prompt_name
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.csv_file = f"CrossEncoderRerankingEvaluator{f'_{name}' if name else ''}_results_@{at_k}.csv"
        self.csv_headers = ["epoch", "steps", *map(str.upper, metric_names(at_k))]
        self.primary_metric = f"ndcg@{at_k}"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name.

        Raises:
            InvalidOption: the model has several labels.
        """
        logger.info("Reranking on %s%s:", self.name or "samples", moment(epoch, steps))
        rankings = [_ranking(sample, self.always_rerank_positives) for sample in self.samples]
        pairs = [(one.query, document) for one in rankings if any(one.relevant) for document in one.documents]
        scores = single_scores_of(self, model, pairs) if pairs else np.empty(0)
        metrics = self._name_metrics(self._measure(rankings, scores))
        found = [
            self.compute_metrics(*one.found) if any(one.found[0]) else _NOTHING
            for one in rankings
            if one.found
        ]
        row = list(metrics.values())
        if found:
            metrics |= self._name_metrics(np.mean(found, axis=0), "base_")
        self._log(rankings, metrics)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *row])
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _measure(self, rankings: list[Ranking], scores: np.ndarray) -> np.ndarray:
        """Means of reciprocal rank, NDCG and MAP, given the scores of the pairs."""
        values, start = [], 0
        for one in rankings:
            if not any(one.relevant):
                values.append(_NOTHING)
                continue
            stop = start + len(one.documents)
            values.append(self.compute_metrics(one.relevant, scores[start:stop]))
            start = stop
        return np.mean(values, axis=0)

    def compute_metrics(self, y_true: Sequence[int], y_pred: Any) -> tuple[float, float, float]:
        """Reciprocal rank, NDCG and average precision of one sample.

        Args:
            y_true: ``[n]``, 1 for relevant documents and 0 for others.
            y_pred: ``[n]`` scores.
        """
        relevant, scores = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
        return (
            tied_mrr_at_k(relevant, scores, self.at_k),
            tied_ndcg_at_k(relevant, scores, self.at_k),
            average_precision(relevant, scores),
        )

    def _name_metrics(self, means: np.ndarray, prefix: str = "") -> dict[str, float]:
        mrr, ndcg, precision = means.tolist()
        values = (precision, mrr, ndcg)
        return {prefix + name: value for name, value in zip(metric_names(self.at_k), values, strict=True)}

    def _log(self, rankings: list[Ranking], metrics: Mapping[str, float]) -> None:
        positives = np.array([sum(one.relevant) for one in rankings])
        documents = np.array([len(one.documents) for one in rankings])
        logger.info(
            "%d queries, %.1f documents and %.1f relevant ones each",
            len(rankings),
            documents.mean(),
            positives.mean(),
        )
        for name in metric_names(self.at_k):
            before = f"{metrics[f'base_{name}'] * 100:.2f} -> " if f"base_{name}" in metrics else ""
            logger.info("%s: %s%.2f", name.upper(), before, metrics[name] * 100)

    def get_config_dict(self) -> dict[str, Any]:
        """``at_k``, and ``always_rerank_positives`` where it matters."""
        if "documents" not in self.samples[0]:
            return {"at_k": self.at_k}
        return {"at_k": self.at_k, "always_rerank_positives": self.always_rerank_positives}


@dataclass
class Ranking:
    """What is scored for one sample.

    Attributes:
        query: of the sample.
        documents: what is scored.
        relevant: 1 for each document that is relevant, 0 for others.
        found: the same for the first stage's ranking, with scores that say its order; None without one.
    """

    query: Any
    documents: list[Any]
    relevant: list[int]
    found: tuple[list[int], np.ndarray] | None = None


def _ranking(sample: Mapping[str, Any], with_all_positives: bool) -> Ranking:
    positive = _as_list(sample["positive"])
    if "negative" in sample:
        negative = _as_list(sample["negative"])
        return Ranking(sample["query"], positive + negative, [1] * len(positive) + [0] * len(negative))
    documents = _as_list(sample["documents"])
    relevant = [int(document in positive) for document in documents]
    # Positives that were not found come last, unless nothing at all was found.
    missed = len(positive) - sum(relevant) if any(relevant) else 0
    judged = relevant + [1] * missed
    found = judged, np.arange(len(judged), 0, -1)
    if not with_all_positives:
        return Ranking(sample["query"], documents, relevant, found)
    others = [document for document in documents if document not in positive]
    return Ranking(sample["query"], positive + others, [1] * len(positive) + [0] * len(others), found)


def _check(position: int, sample: Mapping[str, Any]) -> None:
    missing = [key for key in ("query", "positive") if key not in sample]
    has = ", ".join(map(str, sample))
    if missing:
        raise InvalidInput(f"sample {position} lacks {' and '.join(missing)}; it has {has}")
    if ("negative" in sample) == ("documents" in sample):
        raise InvalidInput(f"sample {position} needs either negative or documents; it has {has}")


def _as_list(documents: Any) -> list[Any]:
    return [documents] if isinstance(documents, str) else list(documents)
