"""Hybrid search: the ranks of a dense and of a sparse model together, beside each alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from stlib.base.evaluation.csv_file import append_row, file_name, moment, replacing
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.errors import InvalidInput, InvalidOption
from stlib.util import ranking_metrics

logger = logging.getLogger(__name__)

_SYSTEMS = ("dense", "sparse", "fusion")
_NEEDED = {"dense": ("query_id", "query", "positive", "documents"), "sparse": ("query_id", "documents")}
Sample = Mapping[str, Any]


class ReciprocalRankFusionEvaluator(BaseEvaluator):
    """Fuses two rankings of each query and measures all three.

    A document at rank r of a ranking gets ``1 / (rrf_k + r)`` points from it; points of both are added.
    Metrics are ``map``, ``mrr@{at_k}`` and ``ndcg@{at_k}`` of the fusion, and the same with ``dense_`` and
    ``sparse_`` in front of each model's alone. Relevant documents that a ranking lacks count as standing
    right behind its end; a ranking without any relevant document counts 0.

    Args:
        dense_samples: the results of the dense model: dicts with ``query_id``, ``query``, ``positive`` (the
            relevant documents, or one) and ``documents`` (the texts or ids that were found, best first).
        sparse_samples: those of the sparse model, of the same queries in the same order.
        at_k: documents looked at for MRR and NDCG.
        rrf_k: how little the very first ranks weigh above those behind them.
        name: put in front of metrics and into file names.
        batch_size: without effect, as nothing is encoded.
        show_progress_bar: show a bar.
        write_csv: append a row to ``ReciprocalRankFusion_evaluation[_{name}]_results.csv`` at each call.
        write_predictions: write the fused ranking of each query as a line of
            ``ReciprocalRankFusion_evaluation[_{name}]_predictions.jsonl``.

    Raises:
        InvalidInput: the samples differ in number or order, or one lacks a key.
        InvalidOption: ``at_k`` is below 1, or ``rrf_k`` negative.

    References:
        - Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
          Learning Methods", SIGIR 2009

    Example::

        evaluator = ReciprocalRankFusionEvaluator(
            dense_samples=[{"query_id": "1", "query": "birds", "positive": ["b"], "documents": ["a", "b"]}],
            sparse_samples=[{"query_id": "1", "query": "birds", "positive": ["b"], "documents": ["b", "c"]}],
        )
        evaluator()["ndcg@10"]
    """

    def __init__(
        self,
        dense_samples: Sequence[Sample],
        sparse_samples: Sequence[Sample],
        at_k: int = 10,
        rrf_k: int = 60,
        name: str = "",
        batch_size: int = 32,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        write_predictions: bool = False,
    ) -> None:
        if at_k < 1 or rrf_k < 0:
            raise InvalidOption(f"at_k is {at_k} and rrf_k is {rrf_k}; use 1 or more, and 0 or more")
        _check_samples(dense_samples, sparse_samples)
        self.dense_samples, self.sparse_samples = dense_samples, sparse_samples
        self.at_k = at_k
        self.rrf_k = rrf_k
        self.name = name
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.write_csv = write_csv
        self.write_predictions = write_predictions
        stem = "ReciprocalRankFusion_evaluation" + (f"_{name}" if name else "")
        self.csv_file = file_name(f"{stem}_results.csv")
        self.predictions_file = file_name(f"{stem}_predictions.jsonl")
        kinds = ("MAP", f"MRR@{at_k}", f"NDCG@{at_k}")
        self.csv_headers = [
            "epoch",
            "steps",
            *(f"{system.capitalize()}_{kind}" for system in _SYSTEMS for kind in kinds),
        ]
        self.primary_metric = f"ndcg@{at_k}"

    def __call__(  # type: ignore[override]
        self, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name. There is no model to give: the rankings are there."""
        if not isinstance(output_path, (str, Path, type(None))):
            raise InvalidOption(
                f"output_path is a {type(output_path).__name__}; give a folder or None. This evaluator has "
                "its rankings already and takes no model"
            )
        logger.info("Fusion of rankings on %s%s:", self.name or "samples", moment(epoch, steps))
        measured: list[list[tuple[float, float, float]]] = []
        fused_samples: list[dict[str, Any]] = []
        pairs = list(zip(self.dense_samples, self.sparse_samples, strict=True))
        for dense, sparse in tqdm(pairs, desc="Evaluating", disable=not self.show_progress_bar):
            positive = _as_list(dense["positive"])
            fused = self.fuse(dense["documents"], sparse["documents"])
            rankings = (dense["documents"], sparse["documents"], fused)
            measured.append([self._measure(ranking, positive) for ranking in rankings])
            shared = {key: dense[key] for key in ("query_id", "query")}
            fused_samples.append({**shared, "positive": positive, "documents": fused})
        means = np.mean(measured, axis=0)
        self._log(means)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *means.ravel().tolist()])
        if self.write_predictions and output_path is not None:
            self._write_predictions(Path(output_path), fused_samples)
        return self.prefix_name_to_metrics(self._named(means), self.name)

    def fuse(self, dense: Sequence[Any], sparse: Sequence[Any]) -> list[Any]:
        """The documents of two rankings, most points first; of equal points, dense results first, in the
        order of their rank.
        """
        # Of a document that a ranking has twice, the last rank counts.
        rankings = [{doc: rank for rank, doc in enumerate(docs, start=1)} for docs in (dense, sparse)]
        points = dict.fromkeys((*rankings[0], *rankings[1]), 0.0)
        for ranks in rankings:
            for document, rank in ranks.items():
                points[document] += 1 / (self.rrf_k + rank)
        return sorted(points, key=points.__getitem__, reverse=True)

    def compute_metrics(self, y_true: Any, y_pred: Any) -> tuple[float, float, float]:
        """Reciprocal rank, NDCG and average precision of one ranking.

        Args:
            y_true: ``[n]``, 1 for relevant documents and 0 for others.
            y_pred: ``[n]`` their scores, larger is better.
        """
        relevant, scores = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
        if not relevant.any():
            return 0.0, 0.0, 0.0
        ranked = relevant[np.argsort(scores)[::-1]]
        return (
            float(ranking_metrics.mrr_at_k(ranked[None], self.at_k)[0]),
            ranking_metrics.tied_ndcg_at_k(relevant, scores, self.at_k),
            ranking_metrics.average_precision(relevant, scores),
        )

    def _measure(self, documents: Sequence[Any], positive: Collection[Any]) -> tuple[float, float, float]:
        """Average precision, reciprocal rank and NDCG: the order of the CSV file."""
        wanted = set(positive)
        relevant = [int(document in wanted) for document in documents]
        if not any(relevant):
            return 0.0, 0.0, 0.0
        relevant += [1] * (len(positive) - sum(relevant))
        mrr, ndcg, precision = self.compute_metrics(relevant, np.arange(len(relevant), 0, -1))
        return precision, mrr, ndcg

    def _named(self, means: np.ndarray) -> dict[str, float]:
        kinds = ("map", f"mrr@{self.at_k}", f"ndcg@{self.at_k}")
        return {
            kind if system == "fusion" else f"{system}_{kind}": float(value)
            for system, row in zip(_SYSTEMS, means, strict=True)
            for kind, value in zip(kinds, row, strict=True)
        }

    def _log(self, means: np.ndarray) -> None:
        logger.info("Queries: %d", len(self.dense_samples))
        for place, kind in enumerate(("MAP", f"MRR@{self.at_k}", f"NDCG@{self.at_k}")):
            dense, sparse, fusion = means[:, place] * 100
            logger.info("%s: dense %.2f, sparse %.2f, fusion %.2f", kind, dense, sparse, fusion)

    def _write_predictions(self, folder: Path, samples: Sequence[Mapping[str, Any]]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.predictions_file
        with replacing(path) as file:
            file.writelines(json.dumps(sample) + "\n" for sample in samples)
        logger.info("The fused rankings are in %s", path)

    def get_config_dict(self) -> dict[str, Any]:
        """``at_k``, ``rrf_k`` and ``write_predictions``."""
        return {"at_k": self.at_k, "rrf_k": self.rrf_k, "write_predictions": self.write_predictions}


def _check_samples(dense: Sequence[Sample], sparse: Sequence[Sample]) -> None:
    if len(dense) != len(sparse):
        raise InvalidInput(
            f"there are {len(dense)} dense_samples and {len(sparse)} sparse_samples; give one of each for "
            "every query"
        )
    if not dense:
        raise InvalidInput("there are no samples; give one for every query")
    for place, pair in enumerate(zip(dense, sparse, strict=True)):
        for (name, needed), sample in zip(_NEEDED.items(), pair, strict=True):
            missing = [key for key in needed if key not in sample]
            if missing:
                raise InvalidInput(f"{name}_samples[{place}] lacks {', '.join(missing)}")
        if pair[0]["query_id"] != pair[1]["query_id"]:
            raise InvalidInput(
                f"dense_samples[{place}] is of the query {pair[0]['query_id']!r} and sparse_samples[{place}] "
                f"of {pair[1]['query_id']!r}; give both in the same order"
            )


def _as_list(positive: Any) -> list[Any]:
    return [positive] if isinstance(positive, str) else list(positive)
