"""A model of weighted terms without a network: a term a word, heavier where it is said more often."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from stlib.runtime import SparseRows

__all__ = ["ToyTerms"]


class ToyTerms:
    """`SparseEncoderProtocol` of words; two of `dimension` words in a thousand share a term."""

    name = "toy-terms"

    def __init__(self, dimension: int = 1000, seed: int = 0) -> None:
        self.dimension = dimension
        self.fingerprint = f"{dimension:032x}{seed:032x}"
        self._seed = seed

    def _term(self, word: str) -> int:
        return zlib.crc32(word.encode(), self._seed) % self.dimension

    def _rows(self, texts: Sequence[str], most: float) -> SparseRows:
        starts, terms, weights = [0], [], []
        for text in texts:
            counts = Counter(map(self._term, text.lower().split()))
            terms += sorted(counts)
            weights += [min(most, np.log1p(counts[term])) * (1 + term % 7 / 7) for term in sorted(counts)]
            starts.append(len(terms))
        return SparseRows(
            np.asarray(starts, np.int64), np.asarray(terms, np.int32), np.asarray(weights, np.float32)
        )

    def encode_query(self, texts: Sequence[str]) -> SparseRows:
        return self._rows(texts, 0.7)

    def encode_document(self, texts: Sequence[str]) -> SparseRows:
        return self._rows(texts, 9.0)

    def words(self, terms: Sequence[int]) -> list[str]:
        return [f"term {term}" for term in terms]

    def score(self, question: str, text: str) -> float:
        """What an index should answer, but for quantising."""
        asked, said = self.encode_query([question]), self.encode_document([text])
        weights = dict(zip(said.terms.tolist(), said.weights.tolist(), strict=True))
        pairs = zip(asked.terms.tolist(), asked.weights.tolist(), strict=True)
        return sum(weight * weights.get(term, 0.0) for term, weight in pairs)
