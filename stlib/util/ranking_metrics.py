"""Measures of rankings, per query, for many queries at once.

A ranking is given by the relevance of its documents: a matrix ``[queries, n]`` of gains, best document first;
0 where a document is not relevant or not judged, and where a ranking is shorter than ``n``. Binary
judgments are 0 and 1; any positive gain counts as relevant. Every function returns ``[queries]``.

Definitions are those of trec_eval (https://github.com/usnistgov/trec_eval): ``precision_at_k`` is its
``P_k``, ``recall_at_k`` its ``recall_k``, ``accuracy_at_k`` its ``success_k``, ``mrr_at_k`` its
``recip_rank`` of the first k, ``ndcg_at_k`` its ``ndcg_cut_k``. Of average precision there are two:

===============  =====================================  =============================================
``divide_by``    a query of R relevant documents counts  used by
===============  =====================================  =============================================
``"relevant"``   its sum over R: all that there are     trec_eval's ``map_cut_k``; ``indexing``
``"reachable"``  over ``min(k, R)``: what k can hold    Sentence Transformers' evaluators; our own
===============  =====================================  =============================================

They differ for queries with more than k relevant documents only, by the factor ``min(k, R) / R``: with the
first, the best possible ranking of such a query is below 1. Neither torch nor transformers is needed here.

Sources: Manning, Raghavan, Schütze, "Introduction to Information Retrieval", chapter 8 (precision, recall and
MAP); Voorhees, "The TREC-8 Question Answering Track Report", 1999 (reciprocal rank); Järvelin and Kekäläinen,
"Cumulated Gain-Based Evaluation of IR Techniques", ACM TOIS 20(4), 2002 (NDCG); McSherry and Najork,
"Computing Information Retrieval Performance Measures Efficiently in the Presence of Tied Scores", ECIR 2008.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

Denominator = Literal["relevant", "reachable"]


def accuracy_at_k(gains: np.ndarray, k: int) -> np.ndarray:
    """1 where one of the first k documents is relevant, else 0."""
    return np.where((gains[:, :k] > 0).any(axis=1), 1.0, 0.0)


def precision_at_k(gains: np.ndarray, k: int) -> np.ndarray:
    """Relevant documents among the first k, divided by k (also where fewer were found)."""
    return (gains[:, :k] > 0).sum(axis=1) / k


def recall_at_k(gains: np.ndarray, n_relevant: np.ndarray, k: int) -> np.ndarray:
    """Relevant documents among the first k, divided by all there are (``n_relevant [queries]``)."""
    return (gains[:, :k] > 0).sum(axis=1) / n_relevant


def mrr_at_k(gains: np.ndarray, k: int) -> np.ndarray:
    """Reciprocal rank of the first relevant document; 0 if there is none among the first k."""
    hits = gains[:, :k] > 0
    if not hits.shape[1]:
        return np.zeros(len(hits))
    return np.where(hits.any(axis=1), 1.0 / (hits.argmax(axis=1) + 1), 0.0)


def dcg_at_k(gains: np.ndarray, k: int) -> np.ndarray:
    """Discounted cumulative gain: the sum of gain / log2(rank + 1) over the first k."""
    gains = gains[:, :k].astype(np.float64)
    return gains @ discounts(gains.shape[1])


def ndcg_at_k(gains: np.ndarray, ideal: np.ndarray, k: int) -> np.ndarray:
    """DCG divided by that of the best possible ranking.

    Args:
        gains: of the ranking.
        ideal: ``[queries, m]`` gains of all relevant documents, largest first, padded with zeros.
        k: documents looked at.
    """
    best = dcg_at_k(ideal, k)
    found = dcg_at_k(gains, k)
    return np.divide(found, best, out=np.zeros_like(found), where=best > 0)


def average_precision_at_k(
    gains: np.ndarray, n_relevant: np.ndarray, k: int, divide_by: Denominator
) -> np.ndarray:
    """Precision at the rank of each relevant document among the first k, summed and divided by all relevant
    documents or by those that k places can hold; see the table of this module.
    """
    hits = gains[:, :k] > 0
    precisions = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    denominator = np.minimum(k, n_relevant) if divide_by == "reachable" else n_relevant
    return (precisions * hits).sum(axis=1) / denominator


def discounts(n: int) -> np.ndarray:
    """1 / log2(rank + 1) of ranks 1 to n."""
    return 1.0 / np.log2(np.arange(2, n + 2))


def pad(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """Rows of any lengths as one matrix, filled up with zeros."""
    width = max((len(row) for row in rows), default=0)
    matrix = np.zeros((len(rows), width))
    for i, row in enumerate(rows):
        matrix[i, : len(row)] = row
    return matrix


# -- scores with ties


def average_precision(relevant: np.ndarray, scores: np.ndarray) -> float:
    """Area under the precision-recall curve of one ranking, as a sum of steps.

    Documents of equal score enter at once, so their order does not matter: for each distinct score, the gain
    in recall times the precision there. Equal to scikit-learn's ``average_precision_score``.

    Args:
        relevant: ``[n]`` booleans or 0 and 1, at least one of them true.
        scores: ``[n]``, larger is better.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_group = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    found = np.cumsum(relevant[order] > 0)[last_of_group]
    return float((np.diff(found, prepend=0) / found[-1]) @ (found / (last_of_group + 1)))


def tied_ndcg_at_k(gains: np.ndarray, scores: np.ndarray, k: int) -> float:
    """NDCG of one ranking, averaged over all orders of documents of equal score (McSherry and Najork).

    Equal to scikit-learn's ``ndcg_score``.

    Args:
        gains: ``[n]``, not negative.
        scores: ``[n]``, larger is better.
        k: documents looked at.
    """
    weights = discounts(len(gains))
    weights[k:] = 0.0
    best = float(-np.sort(-gains) @ weights)
    if best == 0:
        return 0.0
    _, group, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    mean_gain = np.bincount(group.reshape(-1), weights=gains) / sizes
    summed = np.add.reduceat(weights, np.cumsum(sizes) - sizes)
    return float(mean_gain @ summed) / best


def tied_mrr_at_k(gains: np.ndarray, scores: np.ndarray, k: int) -> float:
    """Reciprocal rank of one ranking, averaged over all orders of documents of equal score (McSherry and
    Najork); 0 where the first relevant document comes after k.

    Args:
        gains: ``[n]``, at least one of them positive.
        scores: ``[n]``, larger is better.
        k: documents looked at.
    """
    relevant = gains > 0
    best = scores[relevant].max()
    above = int((scores > best).sum())
    tied = scores == best
    n_tied, n_relevant = int(tied.sum()), int((tied & relevant).sum())
    value, none_yet = 0.0, 1.0  # none_yet: the chance that no relevant one of the tied came so far
    for i in range(min(n_tied - n_relevant + 1, k - above)):
        chance = n_relevant / (n_tied - i)
        value += none_yet * chance / (above + i + 1)
        none_yet *= 1 - chance
    return value
