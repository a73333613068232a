"""The best documents of a corpus that comes in chunks are those of sorting all of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib.base.evaluation import corpus_ranking
from stlib.base.evaluation.corpus_ranking import CorpusRanking
from stlib.util import dot_score, exact_search


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 10_000),
    n_queries=st.integers(1, 7),
    n_documents=st.integers(1, 40),
    top_k=st.integers(1, 45),
    chunk=st.integers(1, 40),
    block=st.integers(1, 40),
    values=st.integers(1, 4),
    known=st.booleans(),
)
def test_equal_to_sorting_everything(seed, n_queries, n_documents, top_k, chunk, block, values, known):
    rng = np.random.default_rng(seed)
    # Few whole numbers: most scores are equal, and exact.
    queries = torch.tensor(rng.integers(-values, values, (n_queries, 2)), dtype=torch.float32)
    documents = torch.tensor(rng.integers(-values, values, (n_documents, 2)), dtype=torch.float32)
    ranks = rng.permutation(n_documents)
    function = dot_score if known else lambda a, b: a @ b.T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact_search, "_BLOCK_BYTES", 8 * block)
        patch.setattr(exact_search, "_LEAST_ROWS", 1)
        patch.setattr(corpus_ranking, "_QUERIES_PER_BLOCK", 3)
        patch.setattr(corpus_ranking, "_MOST_SCORES", 4 * block)
        ranking = CorpusRanking(queries, function, top_k)
        for start in range(0, n_documents, chunk):
            ranking.add(documents[start : start + chunk], ranks[start : start + chunk])
        positions, scores = ranking.result()
    every = (queries @ documents.T).numpy()
    expected = np.stack([np.lexsort((ranks, -row)) for row in every])[:, :top_k]
    assert positions.tolist() == expected.tolist()
    assert scores.tolist() == np.take_along_axis(every, expected, axis=1).tolist()
