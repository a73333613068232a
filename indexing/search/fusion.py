"""Hybrid ranking: one score out of similarity and BM25.

A weighted sum of scores, which Bruch, Gai and Ingber ("An Analysis of Fusion Functions for Hybrid Retrieval",
ACM TOIS 2023) found to beat reciprocal rank fusion: ranks forget how far apart two documents are. Each score
is divided by its spread over the whole collection for this query, not over the candidates: a leg whose best
documents stand far out of the crowd is sure of itself and counts for more, one that finds everything alike
counts for little. So a weak leg cannot pull a strong one down, which fixed weights on min-max scores do.
"""

from __future__ import annotations

import numpy as np

__all__ = ["KEYWORD_WEIGHT", "fuse"]

KEYWORD_WEIGHT = 0.45


def fuse(
    semantic: np.ndarray,
    keyword: np.ndarray,
    semantic_spread: float,
    keyword_spread: float,
    weight: float = KEYWORD_WEIGHT,
) -> np.ndarray:
    """Fused scores float32 [n] of n candidates.

    Each candidate has both scores; `keyword` is 0 where no word matches. The spreads are standard deviations
    over the collection; a spread of 0 means that this leg cannot tell documents apart, and leaves it out.
    """
    parts = ((1 - weight, semantic, semantic_spread), (weight, keyword, keyword_spread))
    fused = np.zeros(len(semantic), np.float64)
    for share, scores, spread in parts:
        if spread > 0:
            fused += share * scores.astype(np.float64) / spread
    return fused.astype(np.float32)
