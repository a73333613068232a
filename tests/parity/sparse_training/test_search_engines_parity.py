"""Search engines asked by both libraries: the same answers."""

from __future__ import annotations

import pytest
import torch

from stlib.sparse_encoder import search_engines as ours

pytestmark = pytest.mark.parity


@pytest.fixture(scope="module")
def theirs(reference):
    return pytest.importorskip("sentence_transformers.sparse_encoder.search_engines")


@pytest.fixture(scope="module")
def vectors():
    """Random sparse vectors of three queries and forty documents."""
    draw = torch.Generator().manual_seed(3)
    return [torch.rand(n, 12, generator=draw) * (torch.rand(n, 12, generator=draw) < 0.4) for n in (3, 40)]


def test_qdrant(theirs, vectors):
    pytest.importorskip("qdrant_client", reason="run: pip install '.[engines]'")
    queries, documents = (rows.to_sparse() for rows in vectors)
    found, _, index = ours.semantic_search_qdrant(queries, documents, output_index=True, location=":memory:")
    assert theirs.semantic_search_qdrant(queries, corpus_index=index)[0] == found


def test_seismic(theirs, vectors):
    pytest.importorskip("seismic", reason="run: pip install '.[engines]'")
    words = [
        [[(f"word{i}", float(row[i])) for i in row.nonzero().flatten().tolist()] for row in rows]
        for rows in vectors
    ]
    found, expected = (package.semantic_search_seismic(*words, top_k=5)[0] for package in (ours, theirs))
    assert found == expected
