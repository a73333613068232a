"""Which documents a keyword search may return: keys, a table over keys, or all; and those it may not."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import numpy as np

__all__ = ["FILTER_COST", "Asked"]

FILTER_COST = 6
"""Looking up one allowed document inside the query costs as much as fetching so many more hits."""


class Asked(NamedTuple):
    """Which documents may be found.

    `keys_or_table`: int64 keys ascending, a boolean table, or None for all;
    `most`: at most so many; `excluded`: keys that are left out, int64 ascending.
    """

    keys_or_table: np.ndarray | None
    most: float
    excluded: np.ndarray

    @classmethod
    def of(cls, allowed: Collection[int] | np.ndarray | None, excluded: np.ndarray | None) -> Asked:
        excluded = np.empty(0, np.int64) if excluded is None else excluded
        if allowed is None:
            return cls(None, math.inf, excluded)
        if isinstance(allowed, np.ndarray) and allowed.dtype == bool:
            return cls(allowed, int(np.count_nonzero(allowed)), excluded)
        keys = _as_keys(allowed)
        return cls(keys, len(keys), excluded)

    def has_few(self, count: int) -> bool:
        """Whether looking each of them up is cheaper than fetching `count` hits."""
        return FILTER_COST * self.most < count

    def keys(self) -> np.ndarray:
        table = self.keys_or_table
        assert table is not None  # has_few is never true without a limit
        return np.flatnonzero(table) if table.dtype == bool else table

    def bounds(self, largest: int) -> tuple[int, int]:
        """The lowest and the highest key that may be found, none above `largest`."""
        table = self.keys_or_table
        if table is None:
            return 0, largest
        if table.dtype == bool:
            return int(table.argmax()), min(len(table) - 1 - int(table[::-1].argmax()), largest)
        return int(table[0]), min(int(table[-1]), largest)

    def contains(self, keys: np.ndarray) -> np.ndarray:
        """For each of `keys` whether it may be found."""
        allowed = self.keys_or_table
        if allowed is None:
            inside = np.ones(len(keys), dtype=bool)
        elif allowed.dtype == bool:
            inside = keys < len(allowed)
            inside[inside] = allowed[keys[inside]]
        else:
            inside = _are_among(keys, allowed)
        return inside & ~_are_among(keys, self.excluded) if len(self.excluded) else inside


def _are_among(keys: np.ndarray, ascending: np.ndarray) -> np.ndarray:
    if not len(ascending):
        return np.zeros(len(keys), dtype=bool)
    at = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return ascending[at] == keys


def _as_keys(allowed: Collection[int] | np.ndarray) -> np.ndarray:
    """Distinct keys as int64; negative ones belong to no document."""
    keys = allowed if isinstance(allowed, np.ndarray) else np.fromiter(allowed, np.int64, len(allowed))
    keys = keys.astype(np.int64, copy=False)
    if len(keys) > 1 and not (np.diff(keys) > 0).all():
        keys = np.unique(keys)
    return keys[keys >= 0]
