"""How many of the known duplicates among many sentences are found by mining for them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from stlib.base.evaluation.arguments import drop_unset
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.nan_scores import warn_of_nan
from stlib.base.evaluation.statistics import average_precision, best_f1
from stlib.errors import InvalidInput
from stlib.util.lists import refuse_text
from stlib.util.retrieval import mine_pairs

logger = logging.getLogger(__name__)


class ParaphraseMiningEvaluator(BaseEvaluator):
    """Average precision and best F1 of the pairs that :func:`stlib.util.paraphrase_mining` finds.

    Metrics are ``average_precision`` (the primary one), ``f1`` with its ``precision`` and ``recall``, and
    ``threshold``, the similarity from which on a pair is called a duplicate for that F1. Duplicates that
    mining did not find count as missed; those of sentences whose embedding holds nan, as those of a diverged
    model, are not found, with a warning in the log.

    Args:
        sentences_map: sentences by id.
        duplicates_list: pairs of ids of duplicates; pairs with an unknown id are left out.
        duplicates_dict: the same as ``{id1: {id2: True}}``; one direction is enough.
        add_transitive_closure: also take as duplicates what is connected by duplicates.
        query_chunk_size: sentences compared at a time.
        corpus_chunk_size: sentences they are compared with at a time; more need more memory.
        max_pairs: pairs that are found at most.
        top_k: partners of each sentence at most.
        show_progress_bar: show one while encoding.
        batch_size: for ``model.encode``.
        name: prefix of the metrics, and part of the CSV file's name.
        write_csv: write ``paraphrase_mining_evaluation[_{name}]_results.csv`` to the output folder.
        truncate_dim: dimensions to use; default: the model's.

    Raises:
        InvalidInput: there are no sentences.

    Example::

        evaluator = ParaphraseMiningEvaluator(
            {"a": "How old are you?", "b": "What is your age?", "c": "Where is it?"}, [("a", "b")]
        )
        model.evaluate(evaluator)["average_precision"]
    """

    def __init__(
        self,
        sentences_map: dict[Any, Any],
        duplicates_list: list[tuple[Any, Any]] | None = None,
        duplicates_dict: dict[Any, dict[Any, bool]] | None = None,
        add_transitive_closure: bool = False,
        query_chunk_size: int = 5000,
        corpus_chunk_size: int = 100000,
        max_pairs: int = 500000,
        top_k: int = 100,
        show_progress_bar: bool = False,
        batch_size: int = 16,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        refuse_text(sentences_map=sentences_map, duplicates_list=duplicates_list)
        for pair in duplicates_list or ():
            refuse_text(duplicate=pair)
        if not sentences_map:
            raise InvalidInput("sentences_map has no sentences; give a dict of sentences by id")
        self.ids, self.sentences = list(sentences_map), list(sentences_map.values())
        self.query_chunk_size = query_chunk_size
        self.corpus_chunk_size = corpus_chunk_size
        self.max_pairs = max_pairs
        self.top_k = top_k
        self.show_progress_bar = show_progress_bar
        self.batch_size = batch_size
        self.name = name
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self.csv_file = file_name(
            "_".join(part for part in ("paraphrase_mining_evaluation", name, "results.csv") if part)
        )
        self.csv_headers = ["epoch", "steps", "precision", "recall", "f1", "threshold", "average_precision"]
        self.primary_metric = "average_precision"
        self._with_closure = add_transitive_closure
        self.duplicates = _symmetric(duplicates_dict or {}, duplicates_list or [], sentences_map)
        if add_transitive_closure:
            self.add_transitive_closure(self.duplicates)
        self._positive = self._positions()
        self.total_num_duplicates = len(self._positive)

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name; see the class."""
        logger.info(
            "Paraphrases among %s%s:", self.name or "sentences", moment(epoch, steps, self.truncate_dim)
        )
        scores, first, second = self._mine(self.embed_inputs(model, self.sentences))
        metrics = self._metrics(scores, list(zip(first.tolist(), second.tolist(), strict=True)))
        logger.info("%s pairs: %s", f"{len(scores):,}", ", ".join(f"{k} {v:.4f}" for k, v in metrics.items()))
        if self.write_csv:
            values = [metrics[column] for column in self.csv_headers[2:]]
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, *values])
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _mine(self, embeddings: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores and both positions of the pairs, without sentences whose embedding is not of numbers."""
        usable = torch.ones(len(embeddings), dtype=torch.bool)
        if isinstance(embeddings, torch.Tensor) and not embeddings.is_sparse:
            usable = embeddings.isfinite().all(dim=1)
        missing = len(usable) - int(usable.sum())
        warn_of_nan(logger, missing, len(usable), "embeddings")
        scores, first, second = mine_pairs(
            embeddings[usable] if missing else embeddings,
            self.query_chunk_size,
            self.corpus_chunk_size,
            self.max_pairs,
            self.top_k,
        )
        if missing:
            numbers = np.flatnonzero(usable.cpu().numpy())
            first, second = numbers[first], numbers[second]
        kept = ~np.isnan(scores)
        return scores[kept], first[kept], second[kept]

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> Any:
        """Embeddings ``[n, d]`` as a tensor."""
        return model.encode(
            sentences,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_tensor=True,
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    def _metrics(self, scores: np.ndarray, pairs: list[tuple[int, int]]) -> dict[str, float]:
        # Thresholds between two scores are found in float64, where there always is one.
        scores = scores.astype(np.float64)
        labels = np.array([pair in self._positive for pair in pairs], dtype=bool)
        best = best_f1(labels, scores, n_positive=self.total_num_duplicates)
        return {
            "average_precision": average_precision(labels, scores, self.total_num_duplicates),
            "f1": best.f1,
            "precision": best.precision,
            "recall": best.recall,
            "threshold": best.threshold,
        }

    def _positions(self) -> set[tuple[int, int]]:
        """The duplicates as positions ``(i, j)`` with ``i < j``, as mining returns them."""
        at = {key: position for position, key in enumerate(self.ids)}
        pairs = set()
        for first, others in self.duplicates.items():
            for second, is_duplicate in others.items():
                # A sentence is no duplicate of itself, which mining could never find.
                if is_duplicate and first != second and first in at and second in at:
                    i, j = at[first], at[second]
                    pairs.add((min(i, j), max(i, j)))
        return pairs

    @staticmethod
    def add_transitive_closure(graph: Any) -> Any:
        """Connect all ids of each connected part of ``{id1: {id2: True}}`` with each other, in place.

        Pairs that are marked False connect nothing.
        """
        seen: set[Any] = set()
        for start in list(graph):
            if start in seen:
                continue
            part, queue = {start: None}, [start]
            while queue:
                for node, is_duplicate in graph.get(queue.pop(), {}).items():
                    if is_duplicate and node not in part:
                        part[node] = None
                        queue.append(node)
            seen.update(part)
            for node in part:
                graph.setdefault(node, {}).update((other, True) for other in part if other != node)
        return graph

    def get_config_dict(self) -> dict[str, Any]:
        """``add_transitive_closure``, ``max_pairs``, ``top_k``, and ``truncate_dim`` if set."""
        return {
            "add_transitive_closure": self._with_closure,
            "max_pairs": self.max_pairs,
            "top_k": self.top_k,
            **drop_unset(truncate_dim=self.truncate_dim),
        }


def _symmetric(
    given: Mapping[Any, Mapping[Any, bool]], pairs: Iterable[tuple[Any, Any]], known: Mapping[Any, Any]
) -> defaultdict[Any, dict[Any, bool]]:
    """Duplicates from both forms, in both directions."""
    graph: defaultdict[Any, dict[Any, bool]] = defaultdict(dict)
    edges = [(a, b) for a, others in given.items() for b, is_duplicate in others.items() if is_duplicate]
    edges += [(a, b) for a, b in pairs if a in known and b in known]
    for a, b in edges:
        graph[a][b] = graph[b][a] = True
    return graph
