"""The sample that says how similar documents are to a query on the whole."""

from __future__ import annotations

import numpy as np
import pytest

from indexing.quantization import Codec
from indexing.vectors.segment import Rows
from indexing.vectors.snapshot import VectorSnapshot, write
from indexing.views.sample import (
    PRIOR_DOCUMENTS,
    PRIOR_SPREAD,
    SAMPLE_ROWS,
    SimilaritySample,
    choose_rows,
    distinct,
)
from indexing.views.vector_reader import VectorReader


def test_statistics_by_hand():
    vectors = np.array([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]], np.float32)
    sample = SimilaritySample(vectors, np.array([1.0, 0.5, 0.5]))
    total = 2 + PRIOR_DOCUMENTS
    mean = (0.6 + 0.5 * 1.0 + 0.5 * 0.0) / 2
    scatter = (0.6 - mean) ** 2 + 0.5 * (1.0 - mean) ** 2 + 0.5 * mean**2
    spread = np.sqrt((scatter + PRIOR_DOCUMENTS * PRIOR_SPREAD**2) / total)
    assert sample.statistics(np.array([1.0, 0.0], np.float32)) == pytest.approx((2 * mean / total, spread))


def test_nothing_says_what_is_usual():
    positions, weights = choose_rows(np.empty(0, np.int64))
    assert (positions.tolist(), weights.tolist()) == ([], [])
    empty = SimilaritySample(np.empty((0, 2), np.float32), weights)
    assert empty.statistics(np.array([1.0, 0.0], np.float32)) == (0.0, PRIOR_SPREAD)


def test_few_passages_are_all_taken_and_documents_weigh_alike():
    positions, weights = choose_rows(np.array([3, 3, 5, 8, 8, 8, 8]))
    assert positions.tolist() == list(range(7))
    assert weights.tolist() == [0.5, 0.5, 1.0, 0.25, 0.25, 0.25, 0.25]


def test_a_huge_document_takes_no_room_from_others():
    documents = np.concatenate([np.arange(100), np.full(50_000, 100), np.arange(101, 200)])
    positions, weights = choose_rows(documents)
    assert np.array_equal(np.unique(documents[positions]), np.arange(200))
    assert len(np.unique(positions)) == len(positions) <= SAMPLE_ROWS
    assert np.bincount(documents[positions], weights) == pytest.approx(np.ones(200))


def test_of_many_documents_beginnings_middles_and_ends_are_taken_alike():
    documents = np.repeat(np.arange(5000), 3)
    positions, weights = choose_rows(documents)
    assert len(np.unique(documents[positions])) == SAMPLE_ROWS
    assert np.bincount(positions % 3) == pytest.approx(np.full(3, SAMPLE_ROWS / 3), rel=0.02)
    assert weights.tolist() == [1.0] * SAMPLE_ROWS


def test_equal_rows_count_for_one_document_at_most():
    codes = np.array([[1, 2], [3, 4], [1, 2], [5, 6], [3, 4]], np.int8)
    kept, weights = distinct(codes, np.array([1.0, 0.25, 1.0, 0.5, 0.25]))
    assert (kept.tolist(), weights.tolist()) == ([0, 1, 3], [1.0, 0.5, 0.5])
    kept, weights = distinct(codes[:0], np.empty(0))
    assert (kept.tolist(), weights.tolist()) == ([], [])


@pytest.mark.parametrize("seed", range(12))
def test_the_sample_of_a_reader_is_that_of_its_live_rows(tmp_path, seed, monkeypatch):
    """However rows came and went: as if all of them were sorted anew."""
    monkeypatch.setattr("indexing.views.sample.SAMPLE_ROWS", 40)
    rng = np.random.default_rng(seed)
    codec = Codec.fit("int8", rng.normal(size=(50, 4)).astype(np.float32))
    keys, documents = np.arange(300) + 7, np.sort(rng.integers(0, 120, 300))
    if seed % 3 == 0:
        documents = rng.permutation(documents)
    codes = rng.integers(-128, 128, (300, 4)).astype(np.int8)
    snapshot, at = None, 0 if seed % 4 == 0 else 200
    if at:
        first = Rows(keys[:at], documents[:at], codes[:at])
        write(tmp_path / "1-1", codec, first, "faiss", {})
        snapshot = VectorSnapshot.open(tmp_path / "1-1")
    reader, gone = VectorReader.of(codec, snapshot, 1), np.empty(0, np.int64)
    for step, size in enumerate([0, 1, 30, 69]):
        removed = rng.choice(keys[: max(at, 1)], min(at, [0, 3, 60, 1][step]), replace=False)
        rows = Rows(keys[at : at + size], documents[at : at + size], codes[at : at + size])
        reader, gone, at = reader.follow(rows, removed, step), np.union1d(gone, removed), at + size
        live = np.flatnonzero(~np.isin(keys[:at], gone))
        order = live[np.argsort(documents[live], kind="stable")]
        positions, weights = choose_rows(documents[order])
        kept, weights = distinct(codes[order[positions]], weights)
        np.testing.assert_array_equal(reader._sample.vectors, codec.decode(codes[order[positions]][kept]))
        np.testing.assert_array_equal(reader._sample.weights, weights)
