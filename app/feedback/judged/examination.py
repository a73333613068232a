"""How likely a result is looked at, by its rank alone: without it clicks tell where documents stood.

The position-based model: a click needs a look, which depends on the rank, and a document that attracts, which
depends on the question; P(click) = examination[rank] · attraction[question, document] (Craswell et al., "An
Experimental Comparison of Click Position-Bias Models", WSDM 2008; Chuklin, Markov and de Rijke, "Click Models
for Web Search", 2015, chapter 3).

Both ways of finding the examination count looks and clicks in cells of (item, rank), where all that falls
into an item attracts alike at each of its ranks, and fit the product of both to the cells:

- `harvest`: what stood at two ranks because servings or interleaved lists put it there. Agarwal et al.,
  "Estimating Position Bias without Intrusive Interventions" (WSDM 2019): an item is a pair of ranks, in which
  each question and document counts by the same weight at both. It assumes nothing of relevance.
- `fit_by_score`: where there is none of that, documents with about the same score attract alike at whatever
  rank. That is the regression by which Wang et al., "Position Bias Estimation for Unbiased Learning to Rank
  in Personal Search" (WSDM 2018) tie relevance to features, here with one feature and a step function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.feedback.judged.views import Views

__all__ = ["DEPTH", "Examination", "estimate_examination", "fit_by_score", "fit_cells", "harvest"]

DEPTH = 10
LEAST_CLICKS = 30
"""On results of one rank; ranks from the first with fewer on are left out: ± 18 % at best is no figure."""

_STEPS = 20  # of the score
_ROUNDS = 200  # the fit changes by less than 1e-6 long before


@dataclass(frozen=True)
class Examination:
    """The examination of ranks 1 to n, relative to that of rank 1, which is 1; it never rises.

    `method` says in words where it comes from.
    """

    ranks: np.ndarray
    method: str


def estimate_examination(views: Views) -> Examination | None:
    """Harvested where enough documents stood at several ranks, else fitted by score; None where there are
    too few clicks even on the first two ranks.
    """
    for find, method in ((harvest, "from results that stood at several ranks"), (fit_by_score, "by score")):
        ranks = find(views)
        if ranks is not None:
            return Examination(ranks, method)
    return None


def harvest(views: Views) -> np.ndarray | None:
    """Examination by rank, float64 [n]; None where not all ranks that are used stood for one another."""
    shown, clicks = _count_pairs(views)
    cells, clicked = [], []
    for one in range(DEPTH):
        for other in range(one + 1, DEPTH):
            both = (shown[:, one] > 0) & (shown[:, other] > 0)
            counts = shown[both][:, [one, other]]
            weights = counts.prod(1) / counts.sum(1)  # the same at both ranks
            cell, click = np.zeros(DEPTH), np.zeros(DEPTH)
            cell[[one, other]] = weights.sum()
            click[[one, other]] = (weights[:, None] * clicks[both][:, [one, other]] / counts).sum(0)
            cells.append(cell)
            clicked.append(click)
    seen = ((shown > 0).sum(1) > 1)[:, None] * clicks
    return fit_cells(np.array(cells), np.array(clicked), seen.sum(0))


def fit_by_score(views: Views) -> np.ndarray | None:
    """Examination by rank, float64 [n]; None where there are too few clicks."""
    near = views.rank <= DEPTH
    item = np.zeros(len(views), np.int64)
    for scale in np.unique(views.scale):
        same = near & (views.scale == scale)
        if same.any():
            bounds = np.quantile(views.score[same], np.linspace(0, 1, _STEPS + 1)[1:-1])
            item[same] = scale * _STEPS + np.searchsorted(bounds, views.score[same])
    table = np.zeros((2, int(item.max(initial=0)) + 1, DEPTH))
    at = (item[near], views.rank[near] - 1)
    np.add.at(table[0], at, 1)
    np.add.at(table[1], at, views.clicked[near])
    return fit_cells(table[0], table[1], table[1].sum(0))


def _count_pairs(views: Views) -> tuple[np.ndarray, np.ndarray]:
    """How often each (question, document) was shown and clicked at each rank, float64 [pairs, DEPTH]."""
    near = views.rank <= DEPTH
    keys = views.question[near] * max(1, len(views.documents)) + views.document[near]
    pairs, pair = np.unique(keys, return_inverse=True)
    shown, clicks = np.zeros((2, len(pairs), DEPTH))
    at = (pair.reshape(-1), views.rank[near] - 1)
    np.add.at(shown, at, 1)
    np.add.at(clicks, at, views.clicked[near])
    return shown, clicks


def fit_cells(shown: np.ndarray, clicks: np.ndarray, evidence: np.ndarray) -> np.ndarray | None:
    """The examination of each rank from looks and clicks in cells, float64 [items, ranks] both.

    Alternately the attraction of items and the examination of ranks are set so that expected clicks equal the
    seen ones in each row and each column: the maximum of the Poisson likelihood of a product, whose equations
    are unbiased for clicks that are yes or no. `evidence` [ranks] are the clicks behind each rank.
    """
    used = int(np.argmin(np.append(evidence >= LEAST_CLICKS, False)))
    if used < 2 or not _are_linked(shown[:, :used]):
        return None
    shown, clicks = shown[:, :used], clicks[:, :used]
    looks = shown.sum(1) > 0
    shown, clicks = shown[looks], clicks[looks]
    examined = np.ones(used)
    for _ in range(_ROUNDS):
        attraction = clicks.sum(1) / (shown @ examined)
        weight = attraction @ shown
        examined = clicks.sum(0) / np.maximum(weight, 1e-12)
        examined /= examined[0]
    falling = _make_falling(examined, weight)
    return falling / falling[0]


def _are_linked(shown: np.ndarray) -> bool:
    """Whether items link all ranks with the first: otherwise their examination cannot be compared."""
    together = (shown > 0).T.astype(float) @ (shown > 0) > 0
    reached = np.eye(len(together), dtype=bool)[0]
    for _ in range(len(together)):
        reached = reached | together[reached].any(0)
    return bool(reached.all())


def _make_falling(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The nearest values, by weighted squares, that never rise: neighbours that do are pooled."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        pool = (value, weight, 1)
        while pools and pools[-1][0] < pool[0]:
            before, its, count = pools.pop()
            total = its + pool[1]
            pool = ((before * its + pool[0] * pool[1]) / total, total, count + pool[2])
        pools.append(pool)
    return np.repeat([value for value, _, _ in pools], [count for _, _, count in pools])
