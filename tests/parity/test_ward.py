"""Groups by Ward's method are those of SciPy, with its numbers."""

from __future__ import annotations

import numpy as np
import pytest

from stlib.util.ward import ward_labels

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("n", [2, 3, 5, 17, 60, 180])
def test_groups_and_their_numbers(n):
    hierarchy = pytest.importorskip("scipy.cluster.hierarchy")
    rows = np.random.default_rng(n).normal(size=(n, 16))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distances = np.clip(1 - rows @ rows.T, 0, 2).astype(np.float32)
    tree = hierarchy.linkage(distances[np.triu_indices(n, 1)], "ward")
    for groups in {1, 2, max(n // 3, 1), max(n // 2, 1), n - 1}:
        expected = hierarchy.fcluster(tree, groups, "maxclust") - 1
        np.testing.assert_array_equal(ward_labels(distances, groups), expected)


def test_equally_good_merges_go_together():
    # Three pairs of equal items: no merge is better than the others, so that five groups cannot be had.
    distances = 1.0 - np.kron(np.eye(3), np.ones((2, 2)))
    assert ward_labels(distances, 5).tolist() == [1, 1, 2, 2, 0, 0]


def test_as_many_groups_as_items_or_more():
    assert ward_labels(np.ones((3, 3)), 3).tolist() == [0, 1, 2]
    assert ward_labels(np.zeros((1, 1)), 1).tolist() == [0]
    assert ward_labels(np.zeros((0, 0)), 1).tolist() == []
