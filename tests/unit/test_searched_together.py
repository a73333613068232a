"""Several indexes as one: what is scored of those that scan bits, and how rows that are gone are kept out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from indexing.quantization import Codec, normalize
from indexing.vectors.base import QueryScore
from indexing.vectors.faiss import ROWS_A_CANDIDATE, FaissIndex
from indexing.vectors.segment import Rows
from indexing.vectors.snapshot import VectorSnapshot, write
from indexing.vectors.together import search_together
from indexing.views.passage_reader import Part, Tail
from indexing.views.vector_reader import VectorReader

ROWS, DIMENSION = 24_000, 64
BOUNDS = [0, 9000, 9100, 14_000, 19_500, ROWS]


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, DIMENSION))
    return normalize(centres[np.sort(rng.integers(0, 300, ROWS))] + rng.normal(size=(ROWS, DIMENSION)))


@pytest.fixture(scope="module")
def codec(vectors) -> Codec:
    return Codec.fit("ubinary", vectors[:500])


@pytest.fixture(scope="module")
def codes(codec, vectors) -> np.ndarray:
    return codec.encode(vectors).codes


@pytest.fixture
def scored(monkeypatch) -> list[int]:
    """How many rows were scored, call by call."""
    calls: list[int] = []
    plain = QueryScore.exact

    def exact(self, codes):
        calls.append(len(codes))
        return plain(self, codes)

    monkeypatch.setattr(QueryScore, "exact", exact)
    return calls


@pytest.mark.parametrize("share", [None, 0.4])
@pytest.mark.parametrize("k", [1, 10, 100])
def test_the_nearest_of_all_are_scored(codec, codes, vectors, scored, k, share):
    """Topics lie together, so that one index has nearly all that is near: as if there were one index."""
    allowed = None if share is None else np.random.default_rng(3).random(ROWS) < share
    spans = list(itertools.pairwise(BOUNDS))
    parts = [(FaissIndex.build(codec, codes[a:b]), None if share is None else allowed[a:b]) for a, b in spans]
    for query in normalize(vectors[::3001] + 0.1):
        scored.clear()
        found = search_together(parts, query, k)
        rows = np.concatenate([hits.rows + a for hits, (a, _) in zip(found, spans, strict=True)])
        scores = np.concatenate([hits.scores for hits in found])
        best = rows[np.lexsort((rows, -scores))[:k]]
        differing = np.bitwise_count(codec.sign_bits(codes) ^ codec.query_bits(query)).sum(axis=1).astype(int)
        candidates = np.arange(ROWS) if share is None else np.flatnonzero(allowed)
        # The second index is so small that all of it is scored.
        small = candidates[(candidates >= 9000) & (candidates < 9100)]
        large = candidates[(candidates < 9000) | (candidates >= 9100)]
        count = max(20 * k, 400) + (ROWS - 100) // ROWS_A_CANDIDATE
        most = np.sort(differing[large])[count - 1]
        nearer, near = (large[differing[large] < most], large[differing[large] <= most])
        assert len(nearer) + len(small) <= sum(scored) <= len(near) + 2 * len(small)
        assert np.isin(best, np.concatenate([near, small])).all()
        judged = np.concatenate([nearer, small])
        exact = QueryScore(codec, query).exact(codes[judged])
        wanted = judged[np.lexsort((judged, -exact))[:k]]
        lowest = QueryScore(codec, query).exact(codes[best[-1:]])
        assert set(wanted[np.sort(exact)[::-1][:k] > lowest]) <= set(best)


def test_a_few_allowed_rows_are_all_scored(codec, codes, vectors):
    allowed = np.zeros(ROWS, dtype=bool)
    allowed[np.random.default_rng(4).choice(ROWS, 3000, replace=False)] = True
    spans = list(itertools.pairwise(BOUNDS))
    found = search_together(
        [(FaissIndex.build(codec, codes[a:b]), allowed[a:b]) for a, b in spans], vectors[5], 20
    )
    rows = np.concatenate([hits.rows + a for hits, (a, _) in zip(found, spans, strict=True)])
    scores = np.concatenate([hits.scores for hits in found])
    candidates = np.flatnonzero(allowed)
    exact = QueryScore(codec, vectors[5]).exact(codes[candidates])
    expected = candidates[np.lexsort((candidates, -exact))[:20]]
    np.testing.assert_array_equal(rows[np.lexsort((rows, -scores))[:20]], expected)


@pytest.mark.parametrize("beyond", [0, 7])
def test_a_table_of_documents_becomes_a_mask_of_rows(beyond):
    """One that ends before the last documents, and one that goes on behind them."""
    documents = np.repeat(np.arange(40), 3)[:100]
    table = np.random.default_rng(5).random(33 + beyond) < 0.5
    stretch = Tail(np.arange(100), documents)
    allowed = [
        int(d) < len(table) and bool(table[d]) and row not in (4, 50) for row, d in enumerate(documents)
    ]
    assert Part(stretch, np.array([4, 50]), 0).mask(table).tolist() == allowed
    assert not Part(stretch, np.array([4, 50]), 0).mask(table[:0]).any()


@pytest.mark.parametrize("precision", ["int8", "ubinary"])
def test_rows_that_are_gone_everywhere_cost_no_candidates(tmp_path, vectors, scored, monkeypatch, precision):
    """Each of eight segments lost 120 rows, few for one: twenty times 960 more would be scored."""
    monkeypatch.setattr("indexing.vectors.snapshot.SEGMENT_BYTES", 3000 * DIMENSION)
    codec = Codec.fit(precision, vectors[:500])
    codes = codec.encode(vectors).codes
    snapshot = None
    for at in range(0, ROWS, 3000):
        keys = np.arange(at, at + 3000)
        write(tmp_path / str(at), codec, Rows(keys, keys, codes[keys]), "faiss", {}, base=snapshot)
        snapshot = VectorSnapshot.open(tmp_path / str(at))
    assert len(snapshot.segments) == 8
    gone = np.arange(0, ROWS, 25)
    reader = VectorReader.of(codec, snapshot, 1).follow(Rows.joined([], codec), gone, 2)
    monkeypatch.setattr(FaissIndex, "scan_rows", 500)
    alive = np.delete(np.arange(ROWS), gone)
    scored.clear()
    hits = reader.search(vectors[25], 10)
    assert sum(scored) < (1500 if precision == "ubinary" else 8 * 600)
    exact = QueryScore(codec, vectors[25]).exact(codes[alive])
    expected = alive[np.lexsort((alive, -exact))[:10]]
    if precision == "int8":
        np.testing.assert_array_equal(hits.documents, expected)
    assert len(np.intersect1d(hits.documents, expected)) >= 9 and not np.isin(hits.documents, gone).any()
