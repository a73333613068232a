"""What evaluators of retrieval share: cut-offs, score functions, columns of results, the deciding metric."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.errors import InvalidOption
from stlib.util import ranking_metrics
from stlib.util.similarity_function import SimilarityFunction

logger = logging.getLogger(__name__)

ScoreFunctions = dict[str, Callable[[Tensor, Tensor], Tensor]]
Scores = dict[str, dict[int, float]]
"""Values by kind of metric (``"ndcg@k"``) and cut-off."""

# Kind of metric, its name for people, and how its value is shown.
_SHOWN = {
    "accuracy@k": "Accuracy@{}: {:.2%}",
    "precision@k": "Precision@{}: {:.2%}",
    "recall@k": "Recall@{}: {:.2%}",
    "mrr@k": "MRR@{}: {:.4f}",
    "ndcg@k": "NDCG@{}: {:.4f}",
    "map@k": "MAP@{}: {:.4f}",
}


@dataclass(frozen=True)
class Cutoffs:
    """At which ranks each metric is taken.

    Raises:
        InvalidOption: a cut-off is below 1, or there is none for NDCG, which decides between models.
    """

    accuracy: Sequence[int]
    precision_recall: Sequence[int]
    mrr: Sequence[int]
    ndcg: Sequence[int]
    map: Sequence[int]

    def __post_init__(self) -> None:
        wrong = [k for ks in astuple(self) for k in ks if k < 1]
        if wrong:
            raise InvalidOption(f"{wrong[0]} is no cut-off; every k must be 1 or more")
        if not len(self.ndcg):
            raise InvalidOption(
                "ndcg_at_k is empty; give at least one cut-off, as NDCG is the primary metric"
            )

    @property
    def largest(self) -> int:
        """Results needed per query."""
        return max(k for ks in astuple(self) for k in ks)

    def columns(self) -> list[tuple[str, int]]:
        """Kinds of metrics and cut-offs in the order of the CSV file."""
        pairs = [(kind, k) for k in self.precision_recall for kind in ("precision@k", "recall@k")]
        return [
            *(("accuracy@k", k) for k in self.accuracy),
            *pairs,
            *(("mrr@k", k) for k in self.mrr),
            *(("ndcg@k", k) for k in self.ndcg),
            *(("map@k", k) for k in self.map),
        ]

    def by_kind(self) -> dict[str, Sequence[int]]:
        """Cut-offs of each kind of metric."""
        both = self.precision_recall
        kinds = ("accuracy@k", "precision@k", "recall@k", "ndcg@k", "mrr@k", "map@k")
        return dict(zip(kinds, (self.accuracy, both, both, self.ndcg, self.mrr, self.map), strict=True))

    def measure(self, gains: np.ndarray, ideal: np.ndarray, n_relevant: np.ndarray) -> Scores:
        """All metrics, averaged over the queries; see :mod:`stlib.util.ranking_metrics`.

        Args:
            gains: ``[queries, n]`` of the ranked documents.
            ideal: ``[queries, m]`` of all relevant documents, largest first.
            n_relevant: ``[queries]`` how many there are.
        """
        measures: dict[str, Callable[[int], np.ndarray]] = {
            "accuracy@k": lambda k: ranking_metrics.accuracy_at_k(gains, k),
            "precision@k": lambda k: ranking_metrics.precision_at_k(gains, k),
            "recall@k": lambda k: ranking_metrics.recall_at_k(gains, n_relevant, k),
            "ndcg@k": lambda k: ranking_metrics.ndcg_at_k(gains, ideal, k),
            "mrr@k": lambda k: ranking_metrics.mrr_at_k(gains, k),
            "map@k": lambda k: ranking_metrics.average_precision_at_k(gains, n_relevant, k, "reachable"),
        }
        return {kind: {k: float(measures[kind](k).mean()) for k in ks} for kind, ks in self.by_kind().items()}


def log_scores(scores: Mapping[str, Mapping[int, float]]) -> None:
    """Write every metric into the log."""
    for kind, form in _SHOWN.items():
        for k, value in scores[kind].items():
            logger.info(form.format(k, value))


class RetrievalEvaluator(BaseEvaluator):
    """An evaluator that ranks by one or several score functions.

    A subclass sets the attributes of :meth:`_set_scoring` and calls :meth:`_follow` at the start of a call.
    """

    accuracy_at_k: Sequence[int]
    precision_recall_at_k: Sequence[int]
    mrr_at_k: Sequence[int]
    ndcg_at_k: Sequence[int]
    map_at_k: Sequence[int]

    def _set_scoring(
        self, score_functions: ScoreFunctions | None, main_score_function: str | SimilarityFunction | None
    ) -> None:
        self._cutoffs.columns()  # refuses wrong ones
        self.score_functions = score_functions
        self.score_function_names = sorted(score_functions or [])
        self._functions_from_model = score_functions is None
        self.main_score_function = _similarity_function(main_score_function)
        main = self.main_score_function
        if main is not None and score_functions is not None and main.value not in score_functions:
            raise InvalidOption(
                f"main_score_function {main.value!r} is not among the score functions: "
                f"{', '.join(self.score_function_names)}"
            )
        self.csv_headers = self._columns()

    @property
    def _cutoffs(self) -> Cutoffs:
        return Cutoffs(
            self.accuracy_at_k, self.precision_recall_at_k, self.mrr_at_k, self.ndcg_at_k, self.map_at_k
        )

    def score_functions_of(self, model: Any) -> ScoreFunctions:
        """The functions that score when none were given: the model's own similarity, under its name."""
        return {model.similarity_fn_name: model.similarity}

    def metric_columns(self, score_function_name: str) -> list[str]:
        """Headers of the CSV file for one score function."""
        names = [kind.removesuffix("@k") for kind, _ in self._cutoffs.columns()]
        shown = [n.upper() if n in ("mrr", "ndcg", "map") else n.capitalize() for n in names]
        ks = [k for _, k in self._cutoffs.columns()]
        return [f"{score_function_name}-{name}@{k}" for name, k in zip(shown, ks, strict=True)]

    def _columns(self) -> list[str]:
        columns = ["epoch", "steps"]
        if self.score_function_names:
            for name in self.score_function_names:
                columns += self.metric_columns(name)
        return columns

    def _follow(self, model: Any) -> ScoreFunctions:
        """The score functions of this call. Another model's own similarity renames columns and metric."""
        if self._functions_from_model:
            self.score_functions = self.score_functions_of(model)
            names = sorted(self.score_functions)
            if self.score_function_names != names:
                self.score_function_names = names
                self.csv_headers = self._columns()
                self.primary_metric = None
        return self.score_functions or {}

    def _row(self, epoch: int, steps: int, scores: Mapping[str, Scores]) -> list[Any]:
        """Values that belong to ``csv_headers``."""
        columns = self._cutoffs.columns()
        return [epoch, steps, *(scores[n][kind][k] for n in self.score_function_names for kind, k in columns)]

    def _choose_primary_metric(self, scores: Mapping[str, Scores]) -> None:
        """NDCG at the largest cut-off: of the main score function, or of the best one at the first call."""
        if self.primary_metric:
            return
        k = max(self.ndcg_at_k)
        name = max(self.score_function_names, key=lambda name: scores[name]["ndcg@k"][k])
        main = self.main_score_function
        if main is not None and main.value in self.score_function_names:
            name = main.value
        elif main is not None:
            logger.warning("main_score_function is %r, but the model scores by %r", main.value, name)
        self.primary_metric = f"{name}_ndcg@{k}"


def _similarity_function(name: str | SimilarityFunction | None) -> SimilarityFunction | None:
    if not name:
        return None
    SimilarityFunction.to_similarity_fn(name)  # refuses an unknown name
    return SimilarityFunction(name)


def flat_metrics(scores: Mapping[str, Scores]) -> dict[str, float]:
    """Metrics by names like ``cosine_ndcg@10``."""
    return {
        f"{name}_{kind.replace('@k', f'@{k}')}": value
        for name, kinds in scores.items()
        for kind, by_k in kinds.items()
        for k, value in by_k.items()
    }
