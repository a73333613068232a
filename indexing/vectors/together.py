"""Searching several indexes as one: the segments of a snapshot, and the rows that are newer.

What an index is asked for depends on what the others found. One that scans every row exactly is asked for its
share, and for more only as long as a row that it left out could be among the best of all. Those that scan
bits say the distances of what they find, so only the nearest of all together are scored: by themselves each
would have as many scored as if it were alone, and a collection of ten million passages has eighty segments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from indexing.vectors.base import Hits, QueryScore, VectorIndex, best

__all__ = ["search_together"]

Asked: TypeAlias = tuple[VectorIndex, np.ndarray | None]
"""An index with the mask of its allowed rows; None: all."""

_SURPLUS = 64  # candidates of each of several indexes beyond its share
_GROWTH = 4


def search_together(parts: Sequence[Asked], query: np.ndarray, k: int, spare: int = 0) -> list[Hits]:
    """Of each index, with its mask of allowed rows, those rows that can be among the best `k + spare` of all.

    All of these are there where the indexes are exact. `spare` of them will be thrown away, and are not
    worth what is done for each of `k` so that none is missed.
    """
    coarse = [
        at for at, (index, _) in enumerate(parts) if index.says_distances and len(index) > index.scan_rows
    ]
    together = dict(
        zip(coarse, _search_by_distance([parts[at] for at in coarse], query, k, spare), strict=True)
    )
    others = [at for at in range(len(parts)) if at not in together]
    together |= zip(others, _search_by_score([parts[at] for at in others], query, k + spare), strict=True)
    return [together[at] for at in range(len(parts))]


def _search_by_score(parts: Sequence[Asked], query: np.ndarray, k: int) -> list[Hits]:
    found: list[Hits] = []
    beyond, counts = [], []
    for index, allowed in parts:
        query = index._check_query(query, k)
        count = index._first_count(k) // 2 + _SURPLUS
        hits, limit = index._find(QueryScore(index.codec, query), k, count, allowed)
        found.append(hits)
        beyond.append(limit)
        counts.append(count)
    while found:
        scores = np.concatenate([hits.scores for hits in found])
        lowest = np.partition(scores, len(scores) - k)[len(scores) - k] if len(scores) >= k else -np.inf
        unsure = [at for at, limit in enumerate(beyond) if limit > -np.inf and limit >= lowest]
        if not unsure:
            break
        for at in unsure:
            (index, allowed), counts[at] = parts[at], counts[at] * _GROWTH
            found[at], beyond[at] = index._find(QueryScore(index.codec, query), k, counts[at], allowed)
    return found


def _search_by_distance(parts: Sequence[Asked], query: np.ndarray, k: int, spare: int) -> list[Hits]:
    """The best `k + spare` of those rows whose bits are nearest; where few are allowed, of all of these."""
    allowed_rows = sum(_count_allowed(index, allowed) for index, allowed in parts)
    if not allowed_rows:
        return [Hits.none() for _ in parts]
    index = parts[0][0]
    if allowed_rows <= index.scan_rows:
        return [part.search(query, k + spare, allowed) for part, allowed in parts]
    score = QueryScore(index.codec, index._check_query(query, k))
    count = index.nearest_count(k, sum(len(part) for part, _ in parts)) + spare
    nearest = _find_nearest(parts, score.query, min(count, allowed_rows))
    codes = [part.codes.gather(rows) for (part, _), rows in zip(parts, nearest, strict=True)]
    ends = np.cumsum([len(rows) for rows in nearest])[:-1]
    scores = np.split(score.exact(np.concatenate(codes)), ends)
    return [best(rows, theirs, k + spare) for rows, theirs in zip(nearest, scores, strict=True)]


def _find_nearest(parts: Sequence[Asked], query: np.ndarray, count: int) -> list[np.ndarray]:
    """Of each index the rows among the `count` nearest of all, ascending; with those that are as near as the
    last of them and were met. There are at least `count` allowed rows.
    """
    counts = [min(count, -(-count // len(parts)) + _SURPLUS)] * len(parts)
    found = [index.nearest(query, n, allowed) for (index, allowed), n in zip(parts, counts, strict=True)]
    while True:
        distances = np.concatenate([one.distances for one in found])
        most = np.partition(distances, count - 1)[count - 1] if len(distances) >= count else np.inf
        unsure = [
            at
            for at, (one, n) in enumerate(zip(found, counts, strict=True))
            if n < count and len(one.rows) == n and one.distances.max() < most
        ]
        if not unsure:
            return [np.sort(one.rows[one.distances <= most]) for one in found]
        for at in unsure:
            counts[at] = min(count, counts[at] * _GROWTH)
            index, allowed = parts[at]
            found[at] = index.nearest(query, counts[at], allowed)


def _count_allowed(index: VectorIndex, allowed: np.ndarray | None) -> int:
    return len(index) if allowed is None else int(np.count_nonzero(allowed))
