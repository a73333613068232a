"""Half-open ranges of whole numbers, int64 [m, 2], as what a comparison finds among sorted values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

__all__ = ["Ranges", "as_ranges", "merged", "no_ranges", "overlap", "range_of", "runs", "table_of"]

Ranges: TypeAlias = np.ndarray


def no_ranges() -> Ranges:
    return np.empty((0, 2), np.int64)


def as_ranges(pairs: Iterable[Sequence[int]]) -> Ranges:
    """Those of `pairs` that are not empty."""
    return np.asarray([pair for pair in pairs if pair[1] > pair[0]], np.int64).reshape(-1, 2)


def range_of(operator: str, count: int, low: int, high: int) -> tuple[int, int]:
    """Of `count` sorted values, of which those from `low` to `high` are equal to the wanted one, those that
    compare with it as `operator`, one of = < <= > >=, says.
    """
    return {
        "=": (low, high),
        "<": (0, low),
        "<=": (0, high),
        ">": (high, count),
        ">=": (low, count),
    }[operator]


def runs(numbers: np.ndarray) -> Ranges:
    """Ascending numbers as ranges."""
    if not len(numbers):
        return no_ranges()
    breaks = np.flatnonzero(np.diff(numbers) != 1)
    starts = numbers[np.concatenate([[0], breaks + 1])]
    ends = numbers[np.concatenate([breaks, [len(numbers) - 1]])] + 1
    return np.column_stack([starts, ends]).astype(np.int64)


def merged(parts: Sequence[Ranges]) -> Ranges:
    """All ranges of all parts, each once."""
    return np.unique(np.concatenate([no_ranges(), *parts]), axis=0)


def overlap(one: Ranges, other: Ranges, size: int) -> Ranges:
    """What is in both, of numbers below `size`; the ranges of each are distinct."""
    return runs(np.flatnonzero(table_of(one, size) & table_of(other, size)))


def table_of(ranges: Ranges, size: int) -> np.ndarray:
    """bool [size]: the numbers that are in one of `ranges`."""
    depth = np.bincount(ranges[:, 0], minlength=size + 1) - np.bincount(ranges[:, 1], minlength=size + 1)
    return np.cumsum(depth)[:size] > 0
