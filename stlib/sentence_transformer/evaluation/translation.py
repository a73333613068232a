"""How often a sentence's nearest neighbour in another language is its translation."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.base.evaluation.arguments import check_columns, drop_unset
from stlib.base.evaluation.csv_file import append_row, file_name, moment
from stlib.base.evaluation.evaluator import BaseEvaluator
from stlib.base.evaluation.nan_scores import warn_of_nan
from stlib.util.exact_search import blocks
from stlib.util.similarity import cos_sim

logger = logging.getLogger(__name__)

# Similarities held at a time: 16 MiB of float32, which stay near the processor.
_BLOCK = 2**22


class TranslationEvaluator(BaseEvaluator):
    """Accuracy of finding a translation as the most similar sentence by cosine, in both directions.

    ``src2trg_accuracy`` is the share of source sentences whose most similar target has the text of their
    translation, ``trg2src_accuracy`` the same the other way round, and ``mean_accuracy``, the primary metric,
    their mean. A sentence whose similarities are nan, as those of a diverged model, finds nothing and is not
    found, with a warning in the log. Memory for similarities is bounded, whatever the number of sentences.

    Args:
        source_sentences: ``[n]``.
        target_sentences: ``[n]``, the translation of each.
        show_progress_bar: show one while encoding.
        batch_size: for ``model.encode``.
        name: prefix of the metrics, and part of the CSV file's name.
        print_wrong_matches: print each source sentence with a wrong match, and its five nearest targets.
        write_csv: write ``translation_evaluation[_{name}]_results.csv`` to the output folder.
        truncate_dim: dimensions to use; default: the model's.

    Raises:
        InvalidInput: the columns are empty or differ in length.

    Example::

        evaluator = TranslationEvaluator(["Good day!", "Thank you."], ["Guten Tag!", "Danke."], name="en-de")
        model.evaluate(evaluator)["en-de_mean_accuracy"]
    """

    def __init__(
        self,
        source_sentences: Sequence[Any],
        target_sentences: Sequence[Any],
        show_progress_bar: bool = False,
        batch_size: int = 16,
        name: str = "",
        print_wrong_matches: bool = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        check_columns(source_sentences=source_sentences, target_sentences=target_sentences)
        # Data sets read a row from disk at each look-up of a column.
        self.source_sentences, self.target_sentences = list(source_sentences), list(target_sentences)
        self.show_progress_bar = show_progress_bar
        self.batch_size = batch_size
        self.name = name
        self.print_wrong_matches = print_wrong_matches
        self.write_csv = write_csv
        self.truncate_dim = truncate_dim
        self.csv_file = file_name(
            "_".join(part for part in ("translation_evaluation", name, "results.csv") if part)
        )
        self.csv_headers = ["epoch", "steps", "src2trg", "trg2src"]
        self.primary_metric = "mean_accuracy"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: int = -1, steps: int = -1
    ) -> dict[str, float]:
        """Metrics by name; see the class."""
        logger.info("Translations of %s%s:", self.name or "pairs", moment(epoch, steps, self.truncate_dim))
        sources = _matrix(self.embed_inputs(model, self.source_sentences))
        targets = _matrix(self.embed_inputs(model, self.target_sentences))
        target_of, source_of = self._nearest(sources, targets)
        forth = _share_found(self.target_sentences, target_of)
        back = _share_found(self.source_sentences, source_of)
        logger.info("source to target %.4f, target to source %.4f", forth, back)
        if self.write_csv:
            append_row(output_path, self.csv_file, self.csv_headers, [epoch, steps, forth, back])
        metrics = {"src2trg_accuracy": forth, "trg2src_accuracy": back, "mean_accuracy": (forth + back) / 2}
        metrics = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, metrics, epoch, steps)
        return metrics

    def _nearest(self, sources: Tensor, targets: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Position of the most similar target of each source, and source of each target; the first of
        several, -1 for none.
        """
        n, missing = len(sources), 0
        target_of, source_of = np.full(n, -1, dtype=np.int64), np.full(n, -1, dtype=np.int64)
        best = np.full(n, -np.inf, dtype=np.float32)
        for start, scores in _blocks(sources, targets):
            stop = start + len(scores)
            not_numbers = np.isnan(scores)
            if not_numbers.any():
                missing += int(not_numbers.sum())
                scores = np.where(not_numbers, -np.inf, scores)
            row = scores.argmax(axis=1)
            target_of[start:stop] = np.where(np.isneginf(scores[np.arange(len(row)), row]), -1, row)
            row = scores.argmax(axis=0)
            found = np.take_along_axis(scores, row[None], axis=0)[0]
            better = found > best
            best[better], source_of[better] = found[better], start + row[better]
            if self.print_wrong_matches:
                self._print_wrong(start, scores, target_of[start:stop])
        warn_of_nan(logger, missing, n * n, "similarities")
        return target_of, source_of

    def _print_wrong(self, start: int, scores: np.ndarray, nearest: np.ndarray) -> None:
        for i, (row, found) in enumerate(zip(scores, nearest, strict=True), start):
            if found >= 0 and self.target_sentences[i] == self.target_sentences[found]:
                continue
            match = f"target {found} ({row[found]:.4f}): {self.target_sentences[found]}"
            lines = [
                f"Wrong match of source {i}: {self.source_sentences[i]}",
                f"  found {match if found >= 0 else 'nothing'}",
                f"  translation ({row[i]:.4f}): {self.target_sentences[i]}",
                *(
                    f"    {place}. target {j} ({row[j]:.4f}): {self.target_sentences[j]}"
                    for place, j in enumerate(np.argsort(-row, kind="stable")[:5], 1)
                ),
            ]
            print("\n".join(lines))  # noqa: T201 - what the option asks for

    def embed_inputs(self, model: Any, sentences: Any, **kwargs: Any) -> list[Tensor]:
        """One embedding ``[d]`` for each sentence."""
        return model.encode(
            sentences,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
            convert_to_numpy=False,
            truncate_dim=self.truncate_dim,
            **kwargs,
        )

    def get_config_dict(self) -> dict[str, Any]:
        """``truncate_dim``, if set."""
        return drop_unset(truncate_dim=self.truncate_dim)


def _blocks(sources: Tensor, targets: Tensor) -> Iterator[tuple[int, np.ndarray]]:
    """Cosines ``[rows, n]`` of a few sources at a time, with the first one's position."""
    rows = max(1, _BLOCK // len(targets))
    for start, some in blocks(sources, rows):
        yield start, cos_sim(some, targets).detach().cpu().numpy()


def _matrix(embeddings: Any) -> Tensor:
    return embeddings if isinstance(embeddings, Tensor) else torch.stack(list(embeddings))


def _share_found(texts: list[Any], nearest: np.ndarray) -> float:
    """Share of positions at which the text that was found is the right one; equal texts are."""
    return sum(found >= 0 and texts[i] == texts[found] for i, found in enumerate(nearest.tolist())) / len(
        texts
    )
