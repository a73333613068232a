"""Similarities of sparse matrices equal those of the same matrices written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib import util
from stlib.util import sparse_products

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")

NAMES = ["dot_score", "cos_sim", "euclidean_sim", "manhattan_sim"]


def random_rows(rng: np.random.Generator, n: int, d: int, share: float) -> torch.Tensor:
    values = rng.normal(size=(n, d)).astype(np.float32)
    values[rng.random((n, d)) >= share] = 0
    return torch.from_numpy(values)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 7),
    m=st.integers(1, 7),
    d=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    name=st.sampled_from(NAMES),
    layouts=st.sampled_from([("coo", "coo"), ("coo", "csr"), ("csr", "csr")]),
)
def test_sparse_equals_dense(seed, n, m, d, share, name, layouts):
    rng = np.random.default_rng(seed)
    a, b = random_rows(rng, n, d, share), random_rows(rng, m, d, 0.3)
    expected = getattr(util, name)(a, b)
    write = {"coo": torch.Tensor.to_sparse, "csr": torch.Tensor.to_sparse_csr}
    sparse = [write[layout](x) for x, layout in zip((a, b), layouts, strict=True)]
    # A distance is the root of a difference, which may lose half of the digits.
    atol = 3e-3 if name == "euclidean_sim" else 2e-5
    torch.testing.assert_close(getattr(util, name)(*sparse), expected, rtol=1e-5, atol=atol)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [255, 256, 257, 600])
def test_rows_beyond_one_block(name, n):
    rng = np.random.default_rng(n)
    a, b = random_rows(rng, n, 50, 0.1), random_rows(rng, 601, 50, 0.1)
    expected = getattr(util, name)(a, b)
    found = getattr(util, name)(a.to_sparse(), b.to_sparse())
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=3e-3 if name == "euclidean_sim" else 2e-5)
    swapped = getattr(util, name)(b.to_sparse(), a.to_sparse())
    torch.testing.assert_close(swapped, found.T, rtol=1e-5, atol=1e-5)


def test_values_written_twice_are_added():
    a = torch.sparse_coo_tensor([[0, 0], [1, 1]], [1.0, 2.0], (1, 3), check_invariants=True)
    b = torch.tensor([[0.0, 5.0, 0.0]]).to_sparse()
    assert util.dot_score(a, b).tolist() == [[15.0]]
    assert util.manhattan_sim(a, b).tolist() == [[-2.0]]


def test_gradients_pass():
    dense = torch.tensor([[1.0, 0.0, 2.0]], requires_grad=True)
    a, b = dense.to_sparse(), torch.tensor([[3.0, 4.0, 0.0]]).to_sparse()
    assert not sparse_products.serves(a, b)
    util.dot_score(a, b).sum().backward()
    assert dense.grad is not None
    assert dense.grad.tolist() == [[3.0, 4.0, 0.0]]
