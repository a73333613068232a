"""How similar documents are to a query on the whole: centre and spread, from a sample of the collection.

Documents count alike, however many passages they have, and equal passages count once: a huge file, or one
file copied many times, would otherwise become the crowd that everything else stands out of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "SAMPLE_ROWS",
    "SimilaritySample",
    "choose_documents",
    "choose_passages",
    "choose_rows",
    "distinct",
]

# Rows from which the spread of similarities is estimated: its error is about 2 % then.
SAMPLE_ROWS = 1024
# Few documents say little about the spread; these many imagined ones with a common spread steady it.
PRIOR_DOCUMENTS = 16
PRIOR_SPREAD = 0.1
# The fractions of its multiples lie evenly, however many: beginnings, middles and ends of documents.
GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class SimilaritySample:
    """`vectors` float32 [n, d] of passages, and how much of a document each stands for: `weights` [n]."""

    vectors: np.ndarray
    weights: np.ndarray

    def statistics(self, query: np.ndarray) -> tuple[float, float]:
        """Mean and standard deviation of the similarity to `query` (float32 [d], length 1)."""
        if not len(self.vectors):
            return 0.0, PRIOR_SPREAD
        similarities = (self.vectors @ query).astype(np.float64)
        count = float(self.weights.sum())
        mean = float(self.weights @ similarities) / count
        scatter = float(self.weights @ (similarities - mean) ** 2)
        total = count + PRIOR_DOCUMENTS  # the imagined documents have mean 0
        return count * mean / total, float(np.sqrt((scatter + PRIOR_DOCUMENTS * PRIOR_SPREAD**2) / total))

    def statistics_of(self, queries: np.ndarray) -> np.ndarray:
        """The same for many, float32 [n, d]: float64 [n, 2]."""
        if not len(self.vectors):
            return np.tile([0.0, PRIOR_SPREAD], (len(queries), 1))
        similarities = (queries @ self.vectors.T).astype(np.float64)
        count = float(self.weights.sum())
        means = similarities @ self.weights / count
        scatters = (similarities - means[:, None]) ** 2 @ self.weights
        total = count + PRIOR_DOCUMENTS
        spreads = np.sqrt((scatters + PRIOR_DOCUMENTS * PRIOR_SPREAD**2) / total)
        return np.stack([count * means / total, spreads], axis=1)


def choose_rows(documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions in `documents` (int64 [n], ascending: the document of each passage), and their weights.

    Up to SAMPLE_ROWS documents, evenly spread, and of each as many passages as there is room for, evenly
    spread too; the weights of a document's passages add up to 1.
    """
    first = np.flatnonzero(np.diff(documents, prepend=documents[:1] - 1))
    counts = np.diff(np.append(first, len(documents)))
    chosen = choose_documents(len(first))
    owners, inside, weights = choose_passages(counts[chosen])
    return first[chosen][owners] + inside, weights


def choose_documents(count: int) -> np.ndarray:
    """Which of `count` documents stand for all of them: places from 0, ascending, evenly spread."""
    return np.linspace(0, count - 1, min(count, SAMPLE_ROWS)).astype(np.int64)


def choose_passages(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of chosen documents with so many passages each (1 or more): for each passage that is taken the position
    of its document, its place among the passages of that, and its weight.
    """
    taken = np.minimum(counts, SAMPLE_ROWS // max(len(counts), 1))
    owners = np.repeat(np.arange(len(counts)), taken)
    nth = np.arange(len(owners)) - np.repeat(np.cumsum(taken) - taken, taken)
    shift = owners * GOLDEN % 1.0
    inside = ((nth + shift) * np.repeat(counts / taken, taken)).astype(np.int64)
    return owners, inside, np.repeat(1.0 / taken, taken)


def distinct(codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each set of equal rows of `codes` [n, width] the first position, and together at most weight 1."""
    seen: dict[bytes, int] = {}
    first = np.asarray([seen.setdefault(row.tobytes(), i) for i, row in enumerate(codes)], np.int64)
    kept = np.unique(first)
    return kept, np.minimum(np.bincount(first, weights, len(codes))[kept], 1.0)
