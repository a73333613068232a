"""Lists of passages by term, and the best of them for a question.

A list that cannot lift a passage among the best any more is not walked through: terms are taken in the order
of the most that each can add, and once all that are left together add less than the k-th best has already,
only passages that were met can be among the best (MaxScore: Turtle and Flood, "Query evaluation: strategies
and optimizations", 1995). Those are looked up in the lists that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from indexing.beside.sparse_codes import SparseCodes

__all__ = ["Postings", "Terms", "best_rows", "join", "make_postings", "score_rows"]

# Rows that are scored one by one rather than by walking through whole lists.
FEW_ROWS = 20_000
# Postings that are walked through faster than it takes to look for a bound that spares them.
MANY_ROWS = 50_000
# Sums in another order differ by less than this part of them.
ROUNDING = 1e-4


class Terms(NamedTuple):
    """A question: `terms` int32 [n] ascending, `weights` float32 [n]."""

    terms: np.ndarray
    weights: np.ndarray


class Postings(NamedTuple):
    """The terms of n passages. A weight is its byte times the step of the passage.

    Attributes:
        terms: those that occur, int32 [t], ascending.
        starts: where the list of each begins, int64 [t + 1].
        rows: passages, uint32 [all], ascending within a list; weights: uint8 [all].
        tops: the largest weight in each list, float32 [t].
        steps: float32 [n]; norms: the length of each passage's vector of weights, float32 [n].
    """

    terms: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    weights: np.ndarray
    tops: np.ndarray
    steps: np.ndarray
    norms: np.ndarray

    def lists_of(self, question: Terms) -> list[tuple[slice, float, float]]:
        """Of each term of the question that occurs: its list, its weight in the question, and the most that
        it adds; in the order of terms.
        """
        at = np.searchsorted(self.terms, question.terms)
        found = at < len(self.terms)
        found[found] = self.terms[at[found]] == question.terms[found]
        at, weights = at[found], question.weights[found]
        bounds = weights * self.tops[at]
        begins, ends = self.starts[at], self.starts[at + 1]
        columns = zip(begins.tolist(), ends.tolist(), weights.tolist(), bounds.tolist(), strict=True)
        return [(slice(begin, end), weight, bound) for begin, end, weight, bound in columns]


def make_postings(codes: SparseCodes) -> Postings:
    """The same, term by term."""
    return _sort(codes.terms, codes.rows.astype(np.uint32), codes.weights, codes.steps)


def join(parts: Sequence[tuple[Postings, np.ndarray]]) -> Postings:
    """Those of several, one behind the other, without the rows that are gone in each (int64, ascending)."""
    terms, rows, weights, steps = [], [], [], []
    first = 0
    for postings, gone in parts:
        alive = np.ones(len(postings.steps), bool)
        alive[gone] = False
        places = np.cumsum(alive) - 1 + first
        kept = alive[postings.rows] if len(gone) else slice(None)
        terms.append(np.repeat(postings.terms, np.diff(postings.starts))[kept])
        rows.append(places[postings.rows[kept]].astype(np.uint32))
        weights.append(postings.weights[kept])
        steps.append(postings.steps[alive])
        first += int(alive.sum())
    return _sort(*(np.concatenate(column) for column in (terms, rows, weights, steps)))


def _sort(terms: np.ndarray, rows: np.ndarray, weights: np.ndarray, steps: np.ndarray) -> Postings:
    """Ascending rows stay so within a list."""
    short = not len(terms) or terms.max() < 1 << 16
    order = np.argsort(terms.astype(np.uint16) if short else terms, kind="stable")  # by radix if short
    terms, rows, weights = terms[order], rows[order], weights[order]
    firsts = np.flatnonzero(np.diff(terms, prepend=-1))
    starts = np.append(firsts, len(terms)).astype(np.int64)
    values = weights * steps[rows]
    tops = np.maximum.reduceat(values, firsts) if len(firsts) else np.empty(0)
    norms = np.sqrt(np.bincount(rows.astype(np.intp), values.astype(np.float64) ** 2, len(steps)))
    columns = (tops.astype(np.float32), steps, norms.astype(np.float32))
    return Postings(terms[firsts].astype(np.int32), starts, rows, weights, *columns)


def best_rows(
    postings: Postings, question: Terms, k: int, mask: np.ndarray | None, floor: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` rows that have a term of the question, best first, ties by row: int64 [m], float32 [m].

    Args:
        mask: rows that may be returned, bool [n]; None allows all.
        floor: what is below is of no use, so it may be missing.
    """
    if mask is not None and np.count_nonzero(mask) <= FEW_ROWS:
        return _best(postings, question, np.flatnonzero(mask), k)
    return _best(postings, question, _candidates(postings, question, k, mask, floor), k)


def _candidates(
    postings: Postings, question: Terms, k: int, mask: np.ndarray | None, floor: float
) -> np.ndarray:
    """Rows among which the best `k` are, ascending."""
    lists = sorted(postings.lists_of(question), key=lambda one: -one[2])
    sums = np.zeros(len(postings.steps), np.float32)
    left = sum(bound for _, _, bound in lists)
    behind = sum(place.stop - place.start for place, _, _ in lists)
    slack = ROUNDING * left
    walked: list[np.ndarray] = []
    for place, weight, bound in lists:
        if left < floor - slack and behind > MANY_ROWS:
            break
        rows = postings.rows[place].astype(np.intp)
        np.add.at(sums, rows, weight * (postings.weights[place] * postings.steps[rows]))
        walked.append(rows)
        left, behind = left - bound, behind - len(rows)
        if behind > MANY_ROWS:
            floor = max(floor, _reached(sums, walked, mask, k))
    spared = max(left, 0.0) + slack
    found = np.flatnonzero(sums > max(0.0, floor - spared))
    if mask is not None:
        found = found[mask[found]]
    if len(found) <= k:
        return found
    reached = sums[found]
    return found[reached >= np.partition(reached, -k)[-k] - spared]


def _reached(sums: np.ndarray, walked: list[np.ndarray], mask: np.ndarray | None, k: int) -> float:
    """A bound that `k` rows have reached, taken from the first lists that have as many; 0 if none have."""
    rows = walked[0]
    for more in walked[1:]:
        if len(rows) >= k:
            break
        rows = np.union1d(rows, more)
    if mask is not None:
        rows = rows[mask[rows]]
    return float(np.partition(sums[rows], -k)[-k]) if len(rows) >= k else 0.0


def _best(postings: Postings, question: Terms, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores = score_rows(postings, question, rows)
    rows, scores = rows[scores > 0], scores[scores > 0]
    order = np.lexsort((rows, -scores))[:k]
    return rows[order].astype(np.int64), scores[order]


def score_rows(postings: Postings, question: Terms, rows: np.ndarray) -> np.ndarray:
    """The dot product of question and each of `rows` (ascending), float32, summed in the order of terms."""
    scores = np.zeros(len(rows), np.float64)
    wanted = rows.astype(np.uint32)  # as the lists are, which would be converted otherwise
    for place, weight, _ in postings.lists_of(question):
        here = postings.rows[place]
        at = np.searchsorted(here, wanted)
        inside = at < len(here)
        at = np.minimum(at, len(here) - 1)
        has = inside & (here[at] == wanted)
        values = postings.weights[place][at[has]] * postings.steps[rows[has]]
        scores[has] += weight * values.astype(np.float64)
    return scores.astype(np.float32)
