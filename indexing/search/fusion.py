"""Hybrid ranking: one score out of similarity and BM25.

A convex combination of normalised scores, which Bruch, Gai and Ingber ("An Analysis of Fusion Functions for
Hybrid Retrieval", ACM TOIS 2023) found to beat reciprocal rank fusion: ranks forget how far apart two
documents are.
"""

from __future__ import annotations

import numpy as np

__all__ = ["KEYWORD_WEIGHT", "fuse"]

KEYWORD_WEIGHT = 0.5


def fuse(semantic: np.ndarray, keyword: np.ndarray, weight: float = KEYWORD_WEIGHT) -> np.ndarray:
    """Fused scores float32 [n] of n candidates, each with both; `keyword` is 0 where no word matches."""
    if not len(semantic):
        return np.empty(0, np.float32)
    return ((1 - weight) * _scaled(semantic, semantic.min()) + weight * _scaled(keyword, 0.0)).astype(
        np.float32
    )


def _scaled(scores: np.ndarray, low: float) -> np.ndarray:
    width = float(scores.max()) - low
    return (scores - low) / width if width > 0 else np.zeros(len(scores), np.float32)
