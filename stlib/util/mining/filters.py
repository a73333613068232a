"""Which candidates cannot be negatives: the positives, the query's own text, and those whose score is outside
the limits.

A disqualified candidate has the score -inf; so has one whose score is not a number.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor

from stlib.errors import InvalidInput
from stlib.util.mining.options import MiningOptions
from stlib.util.mining.pairs import Pairs

OUT = -float("inf")


class Filters:
    """Disqualifies candidates and counts, by option, how many it disqualified.

    Margins are measured from the worst positive of a query, so that a negative is further away than all of
    them.

    Args:
        options: limits and margins, with a ``range_max``.
        pairs: the positives of each query.
        positive_scores: ``[positives]``.

    Raises:
        InvalidInput: the score of a positive is not a number, so nothing can be measured from it.
    """

    def __init__(self, options: MiningOptions, pairs: Pairs, positive_scores: Tensor) -> None:
        _check_numbers(pairs, positive_scores)
        self._options = options
        self._n_documents = len(pairs.corpus)
        self._positive_keys = np.sort(self._keys(pairs.query_of, pairs.positives))
        self._hardest = torch.from_numpy(np.minimum.reduceat(positive_scores.numpy(), pairs.starts[:-1]))
        self._same = torch.from_numpy(pairs.same)
        self._any_same = bool((pairs.same >= 0).any())
        self.width: int = (options.range_max or 0) + pairs.most_positives + self._any_same
        """Candidates to look for: all up to ``range_max``, even if every positive is among them, and the
        query's own text.
        """
        self.candidates = 0
        self.skipped: Counter[str] = Counter()

    def _keys(self, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
        return queries.astype(np.int64) * self._n_documents + documents

    def apply(self, scores: Tensor, positions: Tensor, first_query: int) -> None:
        """Set disqualified entries of ``scores [q, k]`` to -inf, in place.

        Args:
            scores: of the queries from ``first_query`` on.
            positions: their documents ``[q, k]``.
            first_query: number of the first row.
        """
        scores[scores.isnan()] = OUT  # before comparing: nothing is larger or smaller than nan
        positives = self._are_positives(positions, first_query)
        if self._any_same:
            self._remove_same(scores, positions, positives, first_query)
        if not self._options.include_positives:
            scores[positives] = OUT
        self.candidates += int((scores != OUT).sum())
        hardest = self._hardest[first_query : first_query + len(scores)].unsqueeze(1)
        options = self._options
        if options.absolute_margin is not None:
            self._remove("absolute_margin", scores, scores + options.absolute_margin > hardest)
        if options.relative_margin is not None:
            # A share of the magnitude, so that the limit lies below a negative score too.
            limit = hardest - hardest.abs() * options.relative_margin
            self._remove("relative_margin", scores, scores > limit)
        if options.max_score is not None:
            self._remove("max_score", scores, scores > options.max_score)
        if options.min_score is not None:
            self._remove("min_score", scores, scores < options.min_score)

    def _remove_same(self, scores: Tensor, positions: Tensor, positives: Tensor, first_query: int) -> None:
        """Disqualify the query's own text, unless the dataset has it as a positive; elsewhere the last
        candidate, which was looked for in place of it.
        """
        same = self._same[first_query : first_query + len(scores)].unsqueeze(1)
        itself = (positions == same) & (same >= 0) & ~positives
        scores[itself] = OUT
        scores[~itself.any(dim=1), -1] = OUT

    def _remove(self, option: str, scores: Tensor, wrong: Tensor) -> None:
        self.skipped[option] += int((wrong & (scores != OUT)).sum())
        scores[wrong] = OUT

    def _are_positives(self, positions: Tensor, first_query: int) -> Tensor:
        documents = positions.numpy()
        keys = self._keys(np.arange(first_query, first_query + len(documents))[:, None], documents)
        # Every query has a positive, so there is at least one key.
        places = np.searchsorted(self._positive_keys, keys).clip(max=len(self._positive_keys) - 1)
        return torch.from_numpy((self._positive_keys[places] == keys) & (documents >= 0))


def _check_numbers(pairs: Pairs, positive_scores: Tensor) -> None:
    wrong = np.flatnonzero(np.isnan(positive_scores.numpy()))
    if len(wrong):
        query, document = pairs.query_of[wrong[0]], pairs.positives[wrong[0]]
        raise InvalidInput(
            f"the scores of {len(wrong):,} of {len(positive_scores):,} positives are nan, such as that of "
            f"{str(pairs.queries[query])[:80]!r} with {str(pairs.corpus[document])[:80]!r}; look at the "
            "model's weights, its training may have diverged"
        )
