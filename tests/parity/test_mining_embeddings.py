"""Pairs and groups among embeddings equal the reference's and a brute-force search, ties included."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from stlib import util

pytestmark = [
    pytest.mark.parity,
    # torch says so about its own sparse products, once per process
    pytest.mark.filterwarnings("ignore:Sparse:UserWarning"),
]


@pytest.fixture(scope="module")
def their(reference):
    return pytest.importorskip("sentence_transformers.util")


def vectors(n, d=8, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def assert_pairs_equal(ours, theirs):
    assert [pair[1:] for pair in ours] == [pair[1:] for pair in theirs]
    np.testing.assert_allclose([pair[0] for pair in ours], [pair[0] for pair in theirs], atol=1e-5)


@pytest.mark.parametrize("name", ["cos_sim", "dot_score", "euclidean_sim", "manhattan_sim", "own"])
@pytest.mark.parametrize("top_k", [1, 4, 100])
@pytest.mark.parametrize("max_pairs", [0, 1, 17, 500000])
@pytest.mark.parametrize("chunks", [(5000, 100000), (7, 11), (1, 3)])
def test_pairs_equal(their, name, top_k, max_pairs, chunks):
    x = vectors(31)
    options = {"top_k": top_k, "max_pairs": max_pairs}
    options |= dict(zip(("query_chunk_size", "corpus_chunk_size"), chunks, strict=True))
    mine, reference = (
        (lambda a, b: a @ b.T + 1) if name == "own" else getattr(library, name) for library in (util, their)
    )
    if max_pairs == 0:  # the reference returns one pair of an empty heap, or fails
        assert util.paraphrase_mining_embeddings(x, score_function=mine, **options) == []
        return
    assert_pairs_equal(
        util.paraphrase_mining_embeddings(x, score_function=mine, **options),
        their.paraphrase_mining_embeddings(x, score_function=reference, **options),
    )


@pytest.mark.parametrize("chunks", [(5000, 100000), (2, 3)])
def test_equal_rows_are_each_a_pair(chunks):
    x = vectors(3).repeat(4, 1)
    found = util.paraphrase_mining_embeddings(
        x, query_chunk_size=chunks[0], corpus_chunk_size=chunks[1], top_k=3
    )
    same = {(i, j) for i, j in itertools.combinations(range(12), 2) if i % 3 == j % 3}
    assert {tuple(pair[1:]) for pair in found} == same
    np.testing.assert_allclose([pair[0] for pair in found], 1, atol=1e-6)
    best = util.paraphrase_mining_embeddings(x, max_pairs=7, query_chunk_size=chunks[0])
    assert len({tuple(pair[1:]) for pair in best} & same) == 7


@pytest.mark.parametrize("name", ["cos_sim", "dot_score"])
def test_sparse_pairs_equal_dense_ones(name):
    x = vectors(20) * (vectors(20, seed=1) > 0)
    options = {"top_k": 5, "query_chunk_size": 6, "corpus_chunk_size": 7}
    options["score_function"] = getattr(util, name)
    found = util.paraphrase_mining_embeddings(x.to_sparse(), **options)
    assert_pairs_equal(found, util.paraphrase_mining_embeddings(x, **options))


def test_few_embeddings_have_no_pairs():
    assert util.paraphrase_mining_embeddings(vectors(1)) == []
    assert util.paraphrase_mining_embeddings(torch.zeros(0, 4)) == []
    assert util.paraphrase_mining_embeddings(vectors(5), top_k=0) == []


@pytest.mark.parametrize("kind", ["tensor", "array"])
@pytest.mark.parametrize("threshold", [0.3, 0.8, 0.99])
@pytest.mark.parametrize("size", [1, 2, 6])
@pytest.mark.parametrize("batch_size", [1, 13, 1024])
def test_groups_equal(their, kind, threshold, size, batch_size):
    x = torch.cat([centre + 0.35 * vectors(7 + 3 * i, 16, i) for i, centre in enumerate(vectors(5, 16, 9))])
    x = x if kind == "tensor" else x.numpy()
    options = {"threshold": threshold, "min_community_size": size, "batch_size": batch_size}
    assert util.community_detection(x, **options) == their.community_detection(x, **options)


def test_groups_of_equal_rows():
    x = vectors(3).repeat(5, 1)
    found = util.community_detection(x, threshold=0.999, min_community_size=2, batch_size=4)
    assert found == [[0, 3, 6, 9, 12], [1, 4, 7, 10, 13], [2, 5, 8, 11, 14]]
    assert util.community_detection(x, threshold=0.999, min_community_size=6) == []
    assert util.community_detection(np.zeros((0, 4), dtype=np.float32)) == []
