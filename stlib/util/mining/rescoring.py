"""Scores of a cross-encoder in place of the similarities."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from stlib.errors import InvalidInput

# Pairs of texts held as a list at a time; the cross-encoder makes its batches from them.
_PAIRS_AT_A_TIME = 16384


class CrossEncoderScores:
    """Scores pairs of numbered texts.

    Args:
        model: has ``predict(pairs, batch_size=…, convert_to_tensor=True)``, which gives one score per pair.
        queries: texts of the queries.
        corpus: texts of the documents.
        batch_size: pairs per forward pass.
        pool: processes of the model, or None.
    """

    def __init__(
        self, model: Any, queries: list[Any], corpus: list[Any], batch_size: int, pool: Any = None
    ) -> None:
        self._model = model
        self._queries = queries
        self._corpus = corpus
        self._options: dict[str, Any] = {"batch_size": batch_size, "convert_to_tensor": True}
        if pool is not None:
            self._options["pool"] = pool

    def candidates(self, scores: Tensor, positions: Tensor, first_query: int) -> Tensor:
        """``scores [q, k]`` of candidates replaced by the cross-encoder's; -inf stays where there is none."""
        there = (positions >= 0).numpy()
        rows, _ = there.nonzero()
        rescored = scores.clone()
        rescored[torch.from_numpy(there)] = self.score_aligned(rows + first_query, positions.numpy()[there])
        return rescored

    def score_aligned(self, queries: np.ndarray, documents: np.ndarray) -> Tensor:
        """The score of each query with the document at the same place, float32 ``[n]``."""
        parts = []
        for start in range(0, len(queries), _PAIRS_AT_A_TIME):
            block = slice(start, start + _PAIRS_AT_A_TIME)
            numbers = zip(queries[block].tolist(), documents[block].tolist(), strict=True)
            parts.append(self._predict([(self._queries[q], self._corpus[d]) for q, d in numbers]))
        return torch.cat(parts) if parts else torch.empty(0)

    def _predict(self, pairs: list[tuple[Any, Any]]) -> Tensor:
        scores = torch.as_tensor(self._model.predict(pairs, **self._options)).detach().cpu().float()
        if scores.shape == (len(pairs), 1):
            scores = scores.squeeze(1)
        if scores.shape != (len(pairs),):
            raise InvalidInput(
                f"the cross-encoder gave scores of shape {tuple(scores.shape)} for {len(pairs)} pairs; use "
                "one with a single label"
            )
        return scores
