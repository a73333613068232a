"""`semantic_search` equals sorting all scores, however the corpus is cut, stored or typed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib.util import exact_search, semantic_search
from stlib.util.similarity import cos_sim, dot_score, euclidean_sim, manhattan_sim

# Small integers make many equal scores, and exact ones for the dot product.
small = st.integers(-2, 2)
matrices = st.integers(1, 5).flatmap(
    lambda d: st.tuples(
        st.lists(st.lists(small, min_size=d, max_size=d), min_size=1, max_size=4),
        st.lists(st.lists(small, min_size=d, max_size=d), min_size=1, max_size=30),
    )
)


def sorted_scores(queries, corpus, top_k, score=dot_score):
    """The definition: all scores, largest first, the earlier row first among equals."""
    scores = score(queries, corpus).double().numpy()
    order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
    return [
        list(zip(row.tolist(), s[row].tolist(), strict=True)) for row, s in zip(order, scores, strict=True)
    ]


def pairs(hits):
    return [[(hit["corpus_id"], hit["score"]) for hit in row] for row in hits]


@settings(max_examples=150, deadline=None)
@given(
    matrices,
    st.integers(1, 40),
    st.sampled_from([1, 2, 3, 100]),
    st.sampled_from([1, 2, 7, 100]),
    st.sampled_from([1, 2, 5, 10**6]),
)
def test_results_are_those_of_a_full_sort(vectors, top_k, query_chunk, corpus_chunk, block_rows):
    queries, corpus = (torch.tensor(rows, dtype=torch.float32) for rows in vectors)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_search, "_BLOCK_BYTES", block_rows * 4 * queries.shape[1])
        patch.setattr(exact_search, "_LEAST_ROWS", 1)
        hits = semantic_search(queries, corpus, query_chunk, corpus_chunk, top_k, dot_score)
    assert pairs(hits) == sorted_scores(queries, corpus, top_k)


@pytest.mark.parametrize("score", [cos_sim, euclidean_sim, manhattan_sim])
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), block_rows=st.integers(1, 60), top_k=st.integers(1, 70))
def test_blocks_change_nothing(score, seed, block_rows, top_k):
    generator = torch.Generator().manual_seed(seed)
    queries = torch.randn(3, 6, generator=generator)
    corpus = torch.randn(60, 6, generator=generator)
    corpus[7] = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_search, "_BLOCK_BYTES", block_rows * 24)
        patch.setattr(exact_search, "_LEAST_ROWS", 1)
        hits = pairs(semantic_search(queries, corpus, top_k=top_k, score_function=score))
    expected = sorted_scores(queries, corpus, top_k, score)
    for found, right in zip(hits, expected, strict=True):
        assert [i for i, _ in found] == [i for i, _ in right]
        np.testing.assert_allclose([s for _, s in found], [s for _, s in right], atol=1e-6)


def test_read_only_files_are_searched(tmp_path):
    corpus = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    np.save(tmp_path / "c.npy", corpus)
    mapped = np.load(tmp_path / "c.npy", mmap_mode="r")
    assert semantic_search(corpus[:3], mapped) == semantic_search(corpus[:3], corpus)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_dtypes_of_the_corpus(dtype):
    corpus = torch.randn(40, 8, generator=torch.Generator().manual_seed(1)).to(dtype)
    hits = semantic_search(corpus[:4], corpus, top_k=3)
    exact = semantic_search(corpus[:4].double(), corpus.double(), top_k=3)
    assert [[i for i, _ in row] for row in pairs(hits)] == [[i for i, _ in row] for row in pairs(exact)]


def test_own_functions_get_the_chunks_asked_for():
    shapes = []

    def score(a, b):
        shapes.append((len(a), len(b)))
        return (a @ b.T).bfloat16()

    corpus = torch.eye(10)
    hits = semantic_search(corpus[:3], corpus, query_chunk_size=2, corpus_chunk_size=4, score_function=score)
    assert shapes == [(2, 4), (1, 4), (2, 4), (1, 4), (2, 2), (1, 2)]
    assert [row[0] for row in pairs(hits)] == [(0, 1.0), (1, 1.0), (2, 1.0)]


def test_scores_that_are_no_numbers_leave_no_gaps():
    corpus = torch.ones(6, 2)
    corpus[1] = torch.nan
    hits = semantic_search(torch.tensor([[1.0, 0.0], [torch.nan, 0.0]]), corpus, top_k=4)
    assert [[hit["corpus_id"] for hit in row] for row in hits] == [[1, 0, 2, 3], [0, 1, 2, 3]]
    least = semantic_search(
        corpus[:1], corpus[2:], score_function=lambda a, b: torch.full((1, 4), -torch.inf)
    )
    assert [hit["corpus_id"] for hit in least[0]] == [0, 1, 2, 3]
