"""Correlations and the numbers of a binary decision, in plain NumPy (float64).

Sources: Spearman, "The proof and measurement of association between two things", 1904 (ranks; ties share
their mean rank); Matthews, "Comparison of the predicted and observed secondary structure of T4 phage
lysozyme", 1975; Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, sections 8.3
and 8.4 (precision, recall, F1, average precision).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


def pearson(x: Any, y: Any) -> float:
    """Pearson's correlation of two sequences ``[n]``, in [-1, 1].

    nan where it is not defined: fewer than two values, a side without variation, or a value that is nan.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if len(x) < 2 or np.isnan(x).any() or np.isnan(y).any() or (x == x[0]).all() or (y == y[0]).all():
        return math.nan
    # Lengths are taken out before the product, so that huge and tiny values stay in the range of floats.
    x, y = _unit(x - x.mean()), _unit(y - y.mean())
    return float(np.clip(x @ y, -1.0, 1.0))


def spearman(x: Any, y: Any) -> float:
    """Spearman's rank correlation of two sequences ``[n]``: Pearson's of their ranks; nan as there."""
    x, y = np.asarray(x), np.asarray(y)
    if np.isnan(x).any() or np.isnan(y).any():
        return math.nan
    return pearson(average_ranks(x), average_ranks(y))


def average_ranks(values: Any) -> np.ndarray:
    """Ranks from 1, smallest first; equal values share the mean of the ranks that they take."""
    _, group, sizes = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ends = np.cumsum(sizes)
    return (ends - (sizes - 1) / 2)[group]


def average_precision(labels: Any, scores: Any, n_positive: int | None = None) -> float:
    """Average precision of ranking by ``scores``, larger first.

    Pairs of the same score are taken together, so their order among themselves does not matter.

    Args:
        labels: ``[n]``, 1 or True for what should come first.
        scores: ``[n]``.
        n_positive: how many there are to find, if some are not among ``labels``.

    Returns:
        A number in [0, 1]; 0 if there is nothing to find.
    """
    steps = _steps(labels, scores)
    total = steps.n_positive if n_positive is None else n_positive
    if not total:
        return 0.0
    found = np.diff(steps.hits, prepend=0)
    return float((steps.hits / steps.taken * found).sum() / total)


def matthews_correlation(labels: Any, predictions: Any) -> float:
    """Matthews' correlation coefficient of two sequences of 0 and 1, in [-1, 1].

    0 if one of them has a single value only, by convention.
    """
    labels, predictions = np.asarray(labels) == 1, np.asarray(predictions) == 1
    n, actual, predicted = len(labels), int(labels.sum()), int(predictions.sum())
    both = int((labels & predictions).sum())
    # Python's integers: the product of four counts leaves int64 from 55,000 pairs on.
    spread = actual * (n - actual) * predicted * (n - predicted)
    return (both * n - actual * predicted) / math.sqrt(spread) if spread else 0.0


class BestAccuracy(NamedTuple):
    """The largest share of right decisions, and the score from which on to say "alike"."""

    accuracy: float
    threshold: float


def best_accuracy(labels: Any, scores: Any, larger_is_better: bool = True) -> BestAccuracy:
    """The threshold with the highest accuracy, over all that decide differently.

    A pair is taken as positive if its score is at least the threshold (at most, for distances). Between two
    scores the middle is chosen; of equally good thresholds the strictest. To call no pair positive is one of
    the candidates.

    Args:
        labels: ``[n]`` of 0 and 1.
        scores: ``[n]``.
        larger_is_better: False for distances.
    """
    steps = _steps(labels, scores, larger_is_better)
    if not len(steps.values):
        return BestAccuracy(0.0, -1.0)
    n = int(steps.taken[-1])
    right = steps.hits + (n - steps.n_positive) - (steps.taken - steps.hits)
    best = int(np.argmax(right))
    if n - steps.n_positive >= right[best]:
        toward = steps.values.dtype.type(np.inf if larger_is_better else -np.inf)
        return BestAccuracy((n - steps.n_positive) / n, float(np.nextafter(steps.values[0], toward)))
    return BestAccuracy(int(right[best]) / n, _middle(steps.values, best))


class BestF1(NamedTuple):
    """The largest F1, its precision and recall, and the score from which on to say "alike"."""

    f1: float
    precision: float
    recall: float
    threshold: float


def best_f1(labels: Any, scores: Any, larger_is_better: bool = True, n_positive: int | None = None) -> BestF1:
    """The threshold with the highest F1, chosen as in :func:`best_accuracy`; all 0 if nothing is found.

    Args:
        labels: ``[n]`` of 0 and 1.
        scores: ``[n]``.
        larger_is_better: False for distances.
        n_positive: how many there are to find, if some are not among ``labels``.
    """
    steps = _steps(labels, scores, larger_is_better)
    total = steps.n_positive if n_positive is None else n_positive
    if not total or not steps.n_positive:
        return BestF1(0.0, 0.0, 0.0, 0.0)
    precision, recall = steps.hits / steps.taken, steps.hits / total
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
    best = int(np.argmax(f1))
    return BestF1(float(f1[best]), float(precision[best]), float(recall[best]), _middle(steps.values, best))


class ClassF1(NamedTuple):
    """F1 of a decision among several classes, each in [0, 1]."""

    macro: float
    """The mean over the classes."""
    micro: float
    """Of all decisions together, which is the accuracy."""
    weighted: float
    """The mean over the classes, weighted by how often each is right."""


def class_f1(labels: Any, predictions: Any) -> ClassF1:
    """F1 scores of predicted classes; those of a class that is never predicted right are 0.

    Args:
        labels: ``[n]`` of right classes, n at least 1.
        predictions: ``[n]``.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    classes = np.union1d(labels, predictions)
    actual = (labels[:, None] == classes).sum(axis=0)
    predicted = (predictions[:, None] == classes).sum(axis=0)
    right = ((labels[:, None] == classes) & (labels == predictions)[:, None]).sum(axis=0)
    f1 = 2 * right / (actual + predicted)
    return ClassF1(float(f1.mean()), float(right.sum() / len(labels)), float(f1 @ actual / len(labels)))


class _Steps(NamedTuple):
    """A list cut after each of its different scores, best first."""

    values: np.ndarray  # the scores
    taken: np.ndarray  # items up to and with this score
    hits: np.ndarray  # positive ones among them
    n_positive: int


def _steps(labels: Any, scores: Any, larger_is_better: bool = True) -> _Steps:
    positive, scores = np.asarray(labels) == 1, np.asarray(scores)
    if not np.issubdtype(scores.dtype, np.floating):
        scores = scores.astype(np.float64)
    order = np.argsort(-scores if larger_is_better else scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)[: len(ordered)]
    hits = np.cumsum(positive[order])[ends]
    return _Steps(ordered[ends], ends + 1, hits, int(positive.sum()))


def _middle(values: np.ndarray, at: int) -> float:
    """A threshold that takes ``values[at]`` and not the next one."""
    if at + 1 == len(values):
        return float(values[at])
    # Halved before they are added: the sum of two large scores may overflow.
    middle = values[at] / 2 + values[at + 1] / 2
    return float(values[at] if middle == values[at + 1] else middle)


def _unit(x: np.ndarray) -> np.ndarray:
    x = x / np.abs(x).max()
    return x / np.linalg.norm(x)
