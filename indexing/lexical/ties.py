"""Of many documents with one score those with the lowest keys, without reading all of them.

A word that most documents have, or one of short texts that are all as long, scores millions of them alike.
The order of equal ones is that of their keys: they are looked at by ranges of keys, the lowest first.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from tantivy import FieldType, Occur, Query

from indexing.lexical import analysis
from indexing.lexical.asked import Asked

__all__ = ["MOST_HITS", "lowest_ties"]

MOST_HITS = 10_000
"""Fetching so many takes some twenty milliseconds; where more are needed, ties are looked for instead."""

_GROWTH = 4

Fetch = Callable[[Query, int], tuple[np.ndarray, np.ndarray]]
"""Keys and scores of the best so many hits of a query, best first."""


def lowest_ties(
    fetch: Fetch, query: Query, level: float, wanted: int, asked: Asked, largest_key: int
) -> np.ndarray:
    """The lowest `wanted` keys of documents that may be found and score `level`, ascending; all of them if
    there are fewer.
    """
    first, last = asked.bounds(largest_key)
    found: list[np.ndarray] = []
    count, limit = 0, max(MOST_HITS, wanted + 1)
    width = limit - 1  # no more documents than are fetched
    while count < wanted and first <= last:
        keys, scores = fetch(_between(query, first, min(first + width - 1, last)), limit)
        if len(keys) == limit and scores[-1] >= level:
            width = max(width // _GROWTH, limit - 1)
            continue
        tied = keys[scores == level]
        found.append(np.sort(tied[asked.contains(tied)]))
        count += len(found[-1])
        first, width = first + width, width * _GROWTH
    return np.concatenate([np.empty(0, np.int64), *found])[:wanted]


def _between(query: Query, first: int, last: int) -> Query:
    """The same hits and scores, of documents with these keys."""
    keys = Query.range_query(analysis.schema(), "key", FieldType.Unsigned, first, last)
    return Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(keys, 0.0))])
