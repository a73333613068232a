"""BM25 over a small collection in memory: the first stage of an evaluation that has no other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

_WORD = re.compile(r"\w+")


class BM25:
    """Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).

    Words are runs of letters and digits in lower case.

    Args:
        corpus: texts by id.
        k1: how soon further occurrences of a word stop to count; 1.2 is usual.
        b: how much long documents are held back, from 0 to 1.
    """

    def __init__(self, corpus: Mapping[str, str], k1: float = 1.2, b: float = 0.75) -> None:
        self.ids = list(corpus)
        counts = [Counter(_words(text)) for text in corpus.values()]
        lengths = np.array([sum(count.values()) for count in counts], dtype=np.float64)
        norms = k1 * (1 - b + b * lengths / (lengths.mean() or 1.0)) if len(lengths) else lengths
        postings: dict[str, list[tuple[int, int]]] = {}
        for place, count in enumerate(counts):
            for word, n in count.items():
                postings.setdefault(word, []).append((place, n))
        self._weights: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for word, found in postings.items():
            places, ns = np.array(found).T
            rarity = np.log1p((len(self.ids) - len(places) + 0.5) / (len(places) + 0.5))
            self._weights[word] = places, rarity * ns * (k1 + 1) / (ns + norms[places])

    def search(self, query: str, top_k: int) -> list[str]:
        """Ids of the best documents that share a word with the query, best first; equal ones in the order
        of the corpus.
        """
        scores = np.zeros(len(self.ids))
        for word in _words(query):
            if word in self._weights:
                places, weights = self._weights[word]
                scores[places] += weights
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [self.ids[place] for place in order.tolist() if scores[place] > 0]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
