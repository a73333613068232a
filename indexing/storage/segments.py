"""How a list of immutable segments grows: which stay, which are merged with what is new, which are cleaned.

A segment is merged into what comes after it as long as it is not much larger. So sizes at least double from
one segment to the one before it, there are few, and a row is written anew some log2(n) times in its life.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np

__all__ = ["MAX_GONE", "Growth", "Sorted", "find_rows", "plan_growth", "sort_with_order"]

Sorted: TypeAlias = tuple[np.ndarray | None, np.ndarray]
"""The order that sorts some values, None if they ascend already, and the sorted values."""

MERGE_FACTOR = 2
# Rows that are gone are skipped by every search; past this share a segment is written again without them.
MAX_GONE = 0.2


class Growth(NamedTuple):
    """Positions of segments: the first `kept` ones stay in their order, but those `cleaned` are written again
    and those `dropped` hold nothing; the rest is merged into one, in front of what is new.
    """

    kept: int
    cleaned: frozenset[int]
    dropped: frozenset[int]


def plan_growth(stored: Sequence[int], gone: Sequence[int], new: int, most: int) -> Growth:
    """What becomes of segments with `stored` rows each, of which `gone` are gone, when `new` rows follow.

    A merged one has at most `most` rows.
    """
    live = [n - g for n, g in zip(stored, gone, strict=True)]
    kept, size = len(stored), new
    while kept and live[kept - 1] <= MERGE_FACTOR * size and live[kept - 1] + size <= most:
        kept -= 1
        size += live[kept]
    holey = [at for at in range(kept) if gone[at] > MAX_GONE * stored[at]]
    return Growth(
        kept,
        frozenset(at for at in holey if live[at]),
        frozenset(at for at in holey if not live[at]),
    )


def sort_with_order(values: np.ndarray) -> Sorted:
    if len(values) < 2 or (values[1:] >= values[:-1]).all():
        return None, values
    order = np.argsort(values, kind="stable")
    return order, values[order]


def find_rows(by_key: Sorted, keys: np.ndarray) -> np.ndarray:
    """The rows of those of `keys` that are among the distinct keys sorted in `by_key`."""
    order, ascending = by_key
    at = np.searchsorted(ascending, keys)
    found, keys = at[at < len(ascending)], keys[at < len(ascending)]
    found = found[ascending[found] == keys]
    return found if order is None else order[found]
