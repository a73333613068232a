"""Hybrid ranking: one score out of similarity and BM25.

A weighted sum of scores, which Bruch, Gai and Ingber ("An Analysis of Fusion Functions for Hybrid Retrieval",
ACM TOIS 2023) found to beat reciprocal rank fusion: ranks forget how far apart two documents are. Three
things are added to it, so that a weak leg cannot pull a strong one down.

* Each score is divided by its spread over the whole collection for this query, not over the candidates: a leg
  that finds everything alike counts for little.
* The semantic leg counts the more, the further its best document stands out of the crowd. Embeddings that
  know nothing of a query find a vague crowd; those that understand it find something that sticks out.
* Neither leg can outvote the other without end: the best of each counts for at most `SHARE_CAP`. The keyword
  leg's best, moreover, counts for at most `KEYWORD_CAP` spreads, or for as much as the semantic leg's where
  that is more. A single rare word stands out of the crowd without end, and says less than several words that
  meet; but among documents that all look alike, the one that has it is what was meant.

The numbers were chosen by NDCG@10 on cranfield's train judgments alone, over several models, shortened
questions and keyword legs made worse on purpose: among settings that lose at most 0.01 to the better leg for
the bundled model, those with the best mean over all pairs. `SHARE_CAP` came later: on cranfield all bounds
from 12 up do alike, on the sample corpus those from 24 up.
"""

from __future__ import annotations

import numpy as np

__all__ = ["KEYWORD_CAP", "SEMANTIC_WEIGHT", "SHARE_CAP", "TRUST", "USUAL_PEAK", "fuse", "shares"]

# How far, in spreads, the best document of the semantic leg stands out on average.
USUAL_PEAK = 4.3
# Exponent of that distance in the semantic leg's weight.
TRUST = 2.0
# Weight of the semantic leg against the keyword leg at the usual peak.
SEMANTIC_WEIGHT = 1.4
# The smallest bound that leaves long questions, whose words meet often, as they were.
KEYWORD_CAP = 8.0
# What the best of either leg counts for at most: four times what the semantic leg's does at the usual peak.
SHARE_CAP = 24.0


def fuse(
    semantic: np.ndarray,
    keyword: np.ndarray,
    semantic_mean: float,
    semantic_spread: float,
    keyword_spread: float,
) -> np.ndarray:
    """Fused scores float32 [n] of n candidates: the sum of what `shares` gives."""
    by_meaning, by_words = shares(semantic, keyword, semantic_mean, semantic_spread, keyword_spread)
    return (by_meaning + by_words).astype(np.float32)


def shares(
    semantic: np.ndarray,
    keyword: np.ndarray,
    semantic_mean: float,
    semantic_spread: float,
    keyword_spread: float,
) -> tuple[np.ndarray, np.ndarray]:
    """What each leg adds to the fused score: two arrays float64 [n] of n candidates.

    Each candidate has both scores; `keyword` is 0 where no word matches. Mean and spreads (standard
    deviations) are over the collection; a spread of 0 means that this leg cannot tell documents apart, and
    leaves it out.
    """
    by_meaning, by_words = np.zeros(len(semantic)), np.zeros(len(keyword))
    if not len(semantic):
        return by_meaning, by_words
    if semantic_spread > 0:
        standing_out = (semantic.astype(np.float64) - semantic_mean) / semantic_spread
        trust = SEMANTIC_WEIGHT * (max(standing_out.max(), 0.0) / USUAL_PEAK) ** TRUST
        by_meaning = _capped(trust * standing_out, SHARE_CAP)
    if keyword_spread > 0:
        by_words = _capped(
            keyword.astype(np.float64) / keyword_spread, max(KEYWORD_CAP, float(by_meaning.max()))
        )
    return by_meaning, by_words


def _capped(scores: np.ndarray, cap: float) -> np.ndarray:
    """`scores`, all made smaller by the same factor if the best is above `cap`: their order stays."""
    return scores * min(1.0, cap / max(float(scores.max()), 1e-9))
