"""Hybrid ranking: one score out of what several legs say.

A weighted sum of scores, which Bruch, Gai and Ingber ("An Analysis of Fusion Functions for Hybrid Retrieval",
ACM TOIS 2023) found to beat reciprocal rank fusion: ranks forget how far apart two documents are. Three
things are added to it, so that a weak leg cannot pull a strong one down.

* Each score is divided by its spread over the whole collection for this query, not over the candidates: a leg
  that finds everything alike counts for little.
* A similarity leg counts the more, the further its best document stands out of the crowd. Embeddings that
  know nothing of a query find a vague crowd; those that understand it find something that sticks out.
* No leg can outvote the others without end: the best of each counts for at most `SHARE_CAP`. A frequency
  leg's best, moreover, counts for at most `KEYWORD_CAP` spreads, or for as much as the best of the similarity
  legs where that is more. A single rare word stands out of the crowd without end, and says less than several
  words that meet; but among documents that all look alike, the one that has it is what was meant.

The numbers were chosen for the semantic and the keyword leg by NDCG@10 on cranfield's train judgments alone,
over several models, shortened questions and keyword legs made worse on purpose: among settings that lose at
most 0.01 to the better leg for the bundled model, those with the best mean over all pairs. `SHARE_CAP` came
later: on cranfield all bounds from 12 up do alike, on the sample corpus those from 24 up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexing.search.legs.base import Kind, Scale

__all__ = [
    "KEYWORD_CAP",
    "SEMANTIC_WEIGHT",
    "SHARE_CAP",
    "TRUST",
    "USUAL_PEAK",
    "LegScores",
    "fuse",
    "shares",
]

# How far, in spreads, the best document of a similarity leg stands out on average.
USUAL_PEAK = 4.3
# Exponent of that distance in a similarity leg's trust.
TRUST = 2.0
# Trust in a similarity leg at the usual peak, against 1 in a frequency leg.
SEMANTIC_WEIGHT = 1.4
# The smallest bound that leaves long questions, whose words meet often, as they were.
KEYWORD_CAP = 8.0
# What the best of any leg counts for at most: four times what a similarity leg's does at the usual peak.
SHARE_CAP = 24.0


@dataclass(frozen=True)
class LegScores:
    """What one leg says of n candidates.

    Attributes:
        name: of the leg.
        kind: how its scores are to be read, see `indexing.search.legs.base.Kind`.
        scores: float [n]; a frequency leg has 0 where nothing matches.
        scale: centre and spread of its scores over the collection; a spread of 0 leaves the leg out.
        weight: its share is multiplied by this; 1 is the balance that the constants above were chosen for.
        usual: the same, but before shares are bounded.
    """

    name: str
    kind: Kind
    scores: np.ndarray
    scale: Scale
    weight: float = 1.0
    usual: float = 1.0


def fuse(legs: Sequence[LegScores]) -> np.ndarray:
    """Fused scores float32 [n] of n candidates: the sum of what `shares` gives."""
    return shares(legs).sum(axis=0).astype(np.float32)


def shares(legs: Sequence[LegScores]) -> np.ndarray:
    """What each leg adds to the fused score of n candidates: float64 [legs, n].

    Bounds are compared before the weights are applied, so the score is linear in the weights.
    """
    table = np.zeros((len(legs), len(legs[0].scores) if legs else 0))
    if not table.size:
        return table
    for row, leg in zip(table, legs, strict=True):
        if leg.kind == "similarity" and leg.scale.spread > 0:
            row[:] = _cap(leg.usual * _trust(_measure(leg)), SHARE_CAP)
    similar = [row.max() for row, leg in zip(table, legs, strict=True) if leg.kind == "similarity"]
    cap = max([KEYWORD_CAP, *similar])
    for row, leg in zip(table, legs, strict=True):
        if leg.kind == "frequency" and leg.scale.spread > 0:
            row[:] = _cap(leg.usual * _measure(leg), cap)
    return table * np.asarray([[leg.weight] for leg in legs])


def _measure(leg: LegScores) -> np.ndarray:
    """Distances from the centre in spreads, float64 [n]."""
    return (leg.scores.astype(np.float64) - leg.scale.centre) / leg.scale.spread


def _trust(standing_out: np.ndarray) -> np.ndarray:
    """The more, the further the best stands out."""
    return SEMANTIC_WEIGHT * (max(standing_out.max(), 0.0) / USUAL_PEAK) ** TRUST * standing_out


def _cap(scores: np.ndarray, cap: float) -> np.ndarray:
    """`scores`, all made smaller by the same factor if the best is above `cap`: their order stays."""
    return scores * min(1.0, cap / max(float(scores.max()), 1e-9))
