"""Grouping by Ward's method: the two groups are merged whose union spreads least, until few enough are left.

Sources: Ward, "Hierarchical Grouping to Optimize an Objective Function", 1963; Lance and Williams, "A General
Theory of Classificatory Sorting Strategies", 1967 (distances of a union); Benzécri, 1982, and Juan, 1982
(chains of nearest neighbours, which find the same merges in quadratic time); Müllner, "Modern hierarchical,
agglomerative clustering algorithms", arXiv:1109.2378.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ward_labels"]


def ward_labels(distances: Any, n_groups: int) -> NDArray[np.int64]:
    """The group of each item, numbered from 0 in the order of the tree of merges.

    Numbers and groups are those of SciPy's ``fcluster(linkage(…, "ward"), n_groups, "maxclust")`` but for
    distances that are exactly equal.

    Args:
        distances: ``[n, n]``, symmetric; of which the upper half is read.
        n_groups: how many there are at most; fewer only where merges are equally good.
    """
    squares = np.square(np.triu(np.asarray(distances, np.float64), 1))
    squares += squares.T
    n = len(squares)
    if n_groups >= n:
        return np.arange(n, dtype=np.int64)
    first, second, heights = _sorted_merges(squares)
    # Merges that are as good as the last one that is needed belong to it.
    limit = heights[n - max(n_groups, 1) - 1] if n > 1 else 0.0
    return _number(_tree(first, second, n), heights <= limit, n)


def _sorted_merges(squares: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[Any]]:
    """All merges by rising height, each by one item of either side; ``squares`` is used up."""
    n = len(squares)
    np.fill_diagonal(squares, np.inf)
    sizes = np.ones(n)
    merges = np.empty((n - 1, 2), np.intp)
    heights = np.empty(n - 1)
    chain: list[int] = []
    start = 0
    for step in range(n - 1):
        if not chain:
            while not sizes[start]:
                start += 1
            chain.append(start)
        while True:
            row = squares[chain[-1]]
            nearest = int(row.argmin())
            if len(chain) > 1 and row[chain[-2]] <= row[nearest]:
                break  # each is the other's nearest
            chain.append(nearest)
        a, b = sorted((chain.pop(), chain.pop()))
        merges[step], heights[step] = (a, b), squares[a, b]
        _unite(squares, sizes, a, b)
    order = np.argsort(heights, kind="stable")
    return merges[order, 0], merges[order, 1], heights[order]


def _unite(squares: NDArray[np.float64], sizes: NDArray[np.float64], a: int, b: int) -> None:
    """Let ``b`` stand for both groups, and take ``a`` away."""
    x, y, between = sizes[a], sizes[b], squares[a, b]
    row = (x + sizes) * squares[a] + (y + sizes) * squares[b] - sizes * between
    row /= x + y + sizes
    row[a] = row[b] = np.inf
    row[sizes == 0] = np.inf
    squares[b], squares[:, b] = row, row
    squares[a], squares[:, a] = np.inf, np.inf
    sizes[a], sizes[b] = 0.0, x + y


def _tree(first: NDArray[np.intp], second: NDArray[np.intp], n: int) -> list[tuple[int, int]]:
    """The two nodes below each merge, the smaller first: items are 0 to n - 1, the i-th merge is n + i."""
    above = list(range(2 * n - 1))

    def top(node: int) -> int:
        while above[node] != node:
            above[node] = above[above[node]]
            node = above[node]
        return node

    nodes = []
    for i, (a, b) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        low, high = sorted((top(a), top(b)))
        nodes.append((low, high))
        above[low] = above[high] = n + i
    return nodes


def _number(tree: list[tuple[int, int]], is_group: NDArray[np.bool_], n: int) -> NDArray[np.int64]:
    """Numbers of groups by a walk from the top: of a node first the merges below it, then its own items."""
    labels = np.empty(n, np.int64)
    last = -1
    # A node comes twice: before what is below it, and after.
    waiting = [(n + len(tree) - 1, False, False)]
    while waiting:
        node, inside, after = waiting.pop()
        children = tree[node - n]
        if after:
            for child in children:
                if child < n:
                    last += not inside
                    labels[child] = last
            continue
        if not inside and is_group[node - n]:
            inside, last = True, last + 1
        waiting.append((node, inside, True))
        waiting.extend((child, inside, False) for child in reversed(children) if child >= n)
    return labels
