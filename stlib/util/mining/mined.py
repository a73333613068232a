"""What the mining found, before it is written as rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stlib.util.mining.pairs import Pairs


@dataclass(frozen=True)
class Mined:
    """The negatives of each query.

    ``negatives`` and ``scores`` are ``[queries, num_negatives]``, best first, with score -inf where none was
    left; ``positive_scores`` belongs to ``pairs.positives``.
    """

    pairs: Pairs
    negatives: np.ndarray
    scores: np.ndarray
    positive_scores: np.ndarray

    def find_kept(self, complete: bool) -> np.ndarray:
        """Which negatives are written beside each positive, ``[positives, num_negatives]``.

        Args:
            complete: only those of queries for which none is missing.
        """
        there = self.scores != -np.inf
        if complete:
            there = np.broadcast_to(there.all(axis=1, keepdims=True), there.shape)
        return there[self.pairs.query_of]
