"""How well a model orders the documents that were found for a query."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.nan_scores import warn_of_nan
from stlib.errors import InvalidInput, InvalidOption
from stlib.util.ranking_metrics import average_precision, discounts, tied_mrr_at_k, tied_ndcg_at_k
from stlib.util.similarity import cos_sim

logger = logging.getLogger(__name__)


class RerankingEvaluator(BaseEvaluator):
    """Orders the documents of each query by their similarity to it and measures the rankings.

    Metrics are ``map``, ``mrr@{at_k}`` and ``ndcg@{at_k}``, averaged over the samples; the last one is the
    primary metric. Documents of equal score have no order: NDCG and MRR are averaged over all their orders,
    MAP takes them in at once. For MRR that differs from Sentence Transformers on purpose: there, the
    sorting decides which of equal scores is first, and positives, which stand first in a sample, may gain by
    it. Documents whose score is nan, as those of a diverged model, are not found, with a warning in the log.
    Sources: :mod:`stlib.util.ranking_metrics`.

    Args:
        samples: dicts with ``query``, ``positive`` (relevant documents, or one) and either ``negative``
            (documents that are not) or ``documents`` (all that were found; those not among the positives are
            the negatives). A dict of such dicts works as well. Samples without positives or without negatives
            say nothing about an order and are left out, with a note in the log.
        at_k: documents looked at for MRR and NDCG.
        name: put in front of metrics and into file names.
        write_csv: append a row to ``RerankingEvaluator_{name}_results_@{at_k}.csv`` at each call.
        similarity_fct: ``(query, documents [n, d]) -> [n]`` or ``[1, n]``, larger is better. The query comes
            as ``[d]`` when samples are encoded together and as ``[1, d]`` one by one.
        batch_size: passed to ``encode``.
        show_progress_bar: show bars.
        use_batched_encoding: encode all samples together, which is faster; False encodes one sample at a
            time, which holds only its own vectors.
        truncate_dim: use the first so many dimensions; default: the model's ``truncate_dim``.
        mrr_at_k: older name of ``at_k``.

    Raises:
        InvalidInput: a sample lacks a key, or none has positives and negatives.
        InvalidOption: ``at_k`` is below 1.

    Example:
        ::

            from stlib import SentenceTransformer
            from stlib.evaluation import RerankingEvaluator

            samples = [
                {
                    "query": "how do birds fly",
                    "positive": ["Wings lift a bird."],
                    "negative": ["Bread is baked in an oven.", "Rivers flow to the sea."],
                }
            ]
            evaluator = RerankingEvaluator(samples, name="tiny")
            results = evaluator(SentenceTransformer("stlib-static-en"))
            print(results[evaluator.primary_metric])  # tiny_ndcg@10
    """

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
        truncate_dim: int | None = None,
        mrr_at_k: int | None = None,
    ) -> None:
        if mrr_at_k is not None:
            logger.warning("mrr_at_k has become at_k; use at_k=%d", mrr_at_k)
            at_k = mrr_at_k
        if at_k < 1:
            raise InvalidOption(f"at_k is {at_k}; use 1 or more")
        self.samples = usable_samples(samples)
        self.at_k = at_k
        self.name = name
        self.write_csv = write_csv
        self.similarity_fct = similarity_fct
        self.batch_size = batch_size
        self.show_progress_bar = show_progress_bar
        self.use_batched_encoding = use_batched_encoding
        self.truncate_dim = truncate_dim
        self.csv_file = file_name(f"RerankingEvaluator{f'_{name}' if name else ''}_results_@{at_k}.csv")
        self.csv_headers = ["epoch", "steps", "MAP", f"MRR@{at_k}", f"NDCG@{at_k}"]
        self.primary_metric = f"ndcg@{at_k}"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name."""
        when = moment(epoch, steps, self.truncate_dim)
        logger.info("RerankingEvaluator: Evaluating the model on the %s dataset%s:", self.name, when)
        scores = self.compute_metrics(model)
        self._log(scores)
        if self.write_csv:
            row = [epoch, steps, scores["map"], scores["mrr"], scores["ndcg"]]
            append_row(output_path, self.csv_file, self.csv_headers, row)
        metrics = {
            "map": scores["map"],
            f"mrr@{self.at_k}": scores["mrr"],
            f"ndcg@{self.at_k}": scores["ndcg"],
        }
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def compute_metrics(self, model: Any) -> dict[str, float]:
        """``map``, ``mrr`` and ``ndcg``, by one of the two methods below."""
        if self.use_batched_encoding:
            return self.compute_metrics_batched(model)
        return self.compute_metrics_individual(model)

    def compute_metrics_batched(self, model: Any) -> dict[str, float]:
        """``map``, ``mrr`` and ``ndcg``, with all samples encoded together."""
        texts = [text for sample in self.samples for text in (*sample["positive"], *sample["negative"])]
        progress = self.show_progress_bar
        queries = self.embed_inputs(
            model,
            [sample["query"] for sample in self.samples],
            encode_fn_name="query",
            show_progress_bar=progress,
        )
        documents = self.embed_inputs(model, texts, encode_fn_name="document", show_progress_bar=progress)

        def embed() -> Iterator[tuple[Any, Any]]:
            start = 0
            for query, sample in zip(queries, self.samples, strict=True):
                stop = start + len(sample["positive"]) + len(sample["negative"])
                yield query, documents[start:stop]
                start = stop

        return self._measure(embed())

    def compute_metrics_individual(self, model: Any) -> dict[str, float]:
        """``map``, ``mrr`` and ``ndcg``, with one sample encoded at a time."""

        def embed() -> Iterator[tuple[Any, Any]]:
            for sample in tqdm(self.samples, desc="Samples", disable=not self.show_progress_bar):
                texts = [*sample["positive"], *sample["negative"]]
                query, documents = (
                    self.embed_inputs(model, part, encode_fn_name=role, show_progress_bar=False)
                    for part, role in (([sample["query"]], "query"), (texts, "document"))
                )
                yield query, documents

        return self._measure(embed())

    # Their older names
    compute_metrices = compute_metrics
    compute_metrices_batched = compute_metrics_batched
    compute_metrices_individual = compute_metrics_individual

    def _measure(self, embedded: Iterator[tuple[Any, Any]]) -> dict[str, float]:
        """Means over the samples, given the vectors of each query and of its documents."""
        values = []
        missing = total = 0
        for (query, documents), sample in zip(embedded, self.samples, strict=True):
            scores = _as_row(self.similarity_fct(query, documents))
            missing, total = missing + int(np.isnan(scores).sum()), total + len(scores)
            values.append(rank_measures(scores, len(sample["positive"]), self.at_k))
        warn_of_nan(logger, missing, total)
        means = np.mean(values, axis=0)
        return dict(zip(("map", "mrr", "ndcg"), means.tolist(), strict=True))

    def embed_inputs(
        self,
        model: Any,
        sentences: Any,
        encode_fn_name: str | None = None,
        show_progress_bar: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Embeddings by ``encode``, or by ``encode_{encode_fn_name}`` (``"query"``, ``"document"``)."""
        method = "encode" if encode_fn_name is None else f"encode_{encode_fn_name}"
        return getattr(model, method)(
            sentences,
            batch_size=self.batch_size,
            show_progress_bar=show_progress_bar,
            convert_to_tensor=True,
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """``at_k``, and ``truncate_dim`` if it is set."""
        config = {"at_k": self.at_k}
        return config if self.truncate_dim is None else {**config, "truncate_dim": self.truncate_dim}

    def _log(self, scores: Mapping[str, float]) -> None:
        counts = {
            f"{kind.capitalize()}s": np.array([len(sample[kind]) for sample in self.samples])
            for kind in ("positive", "negative")
        }
        shown = [
            f"{kind}: Min {n.min():.1f}, Mean {n.mean():.1f}, Max {n.max():.1f}" for kind, n in counts.items()
        ]
        logger.info("Queries: %d \t %s", len(self.samples), " \t ".join(shown))
        logger.info("MAP: %.2f", scores["map"] * 100)
        logger.info("MRR@%d: %.2f", self.at_k, scores["mrr"] * 100)
        logger.info("NDCG@%d: %.2f", self.at_k, scores["ndcg"] * 100)


def usable_samples(
    samples: Iterable[Mapping[str, Any]] | Mapping[Any, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Samples with lists under ``positive`` and ``negative``, those without either left out.

    Raises:
        InvalidInput: a sample lacks a key, or nothing is left.
    """
    given = list(samples.values() if isinstance(samples, Mapping) else samples)
    shaped = [_with_lists(i, sample) for i, sample in enumerate(given)]
    kept = [sample for sample in shaped if sample["positive"] and sample["negative"]]
    if not kept:
        raise InvalidInput(f"none of the {len(given)} samples has both positive and negative documents")
    if len(kept) < len(given):
        n = len(given) - len(kept)
        logger.info("%d of %d samples lack positives or negatives and are left out", n, len(given))
    return kept


def _with_lists(i: int, sample: Mapping[str, Any]) -> dict[str, Any]:
    missing = [key for key in ("query", "positive") if key not in sample]
    if "negative" not in sample and "documents" not in sample:
        missing.append("negative (or documents)")
    if missing:
        raise InvalidInput(f"sample {i} lacks {', '.join(missing)}; it has {', '.join(map(str, sample))}")
    positive = _as_list(sample["positive"])
    if "negative" in sample:
        negative = _as_list(sample["negative"])
    else:
        negative = [document for document in _as_list(sample["documents"]) if document not in positive]
    return {**sample, "positive": positive, "negative": negative}


def _as_list(documents: Any) -> list[Any]:
    return [documents] if isinstance(documents, str) else list(documents)


def _as_row(scores: Tensor) -> np.ndarray:
    scores = scores[0] if scores.dim() > 1 else scores
    return scores.detach().to(device="cpu", dtype=torch.float64).numpy()


def rank_measures(scores: np.ndarray, n_positive: int, at_k: int) -> tuple[float, float, float]:
    """Average precision, reciprocal rank and NDCG of one sample.

    Args:
        scores: ``[n]`` of its documents, the ``n_positive`` relevant ones first.
        n_positive: at least 1.
        at_k: documents looked at for the last two.

    Documents whose score is nan are not found; relevant ones among them are missed.
    """
    found = ~np.isnan(scores)
    relevant = (np.arange(len(scores)) < n_positive)[found].astype(float)
    scores, n_found = scores[found], int(relevant.sum())
    if not n_found:
        return 0.0, 0.0, 0.0
    # Recall and the best possible gain are those of all relevant documents, whether found or not.
    gain_found, gain = (discounts(min(n, at_k)).sum() for n in (n_found, n_positive))
    return (
        average_precision(relevant, scores) * n_found / n_positive,
        tied_mrr_at_k(relevant, scores, at_k),
        tied_ndcg_at_k(relevant, scores, at_k) * float(gain_found / gain),
    )
