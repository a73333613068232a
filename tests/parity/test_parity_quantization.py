"""Codes and quantised searches equal those of Sentence Transformers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stlib.quantization import quantize_embeddings, semantic_search_faiss, semantic_search_usearch

reference = pytest.importorskip(
    "sentence_transformers.util.quantization",
    reason="the reference is missing; run: pip install 'sentence-transformers>=6,<7'",
    exc_type=ImportError,
)
pytestmark = pytest.mark.parity

PRECISIONS = ["float32", "int8", "uint8", "binary", "ubinary"]


def vectors(n: int, d: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("width", [8, 13, 384])
def test_codes_equal(precision, width):
    x = vectors(150, width)
    ours, theirs = quantize_embeddings(x, precision), reference.quantize_embeddings(x, precision)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("precision", ["int8", "uint8"])
@pytest.mark.parametrize("source", ["ranges", "calibration_embeddings"])
def test_codes_with_given_ranges_equal_and_clip(precision, source):
    x, sample = vectors(40, 24), vectors(120, 24, seed=1) * 0.5
    sample[:, 3] = 0.25  # a constant dimension has an empty range
    extremes = np.vstack([sample.min(0), sample.max(0)])
    options = {source: extremes if source == "ranges" else sample}
    ours, theirs = (q(x, precision, **options) for q in (quantize_embeddings, reference.quantize_embeddings))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("form", ["tensor", "bfloat16", "list of tensors", "list of arrays"])
def test_every_input_form_equal(precision, form):
    x = torch.from_numpy(vectors(120, 16))
    given = {
        "tensor": x,
        "bfloat16": x.bfloat16(),
        "list of tensors": list(x),
        "list of arrays": list(x.numpy()),
    }[form]
    np.testing.assert_array_equal(
        quantize_embeddings(given, precision), reference.quantize_embeddings(given, precision)
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_matrices_of_different_length_share_ranges(precision):
    matrices = [vectors(n, 12, seed=n) for n in (3, 70, 1, 90)]
    ours = quantize_embeddings(matrices, precision)
    theirs = reference.quantize_embeddings(matrices, precision)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def same_hits(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert [h["corpus_id"] for h in a] == [h["corpus_id"] for h in b]
        np.testing.assert_allclose([h["score"] for h in a], [h["score"] for h in b], rtol=1e-5, atol=1e-6)


SEARCHES = [
    (semantic_search_faiss, "semantic_search_faiss", "float32"),
    (semantic_search_faiss, "semantic_search_faiss", "uint8"),
    (semantic_search_faiss, "semantic_search_faiss", "ubinary"),
    (semantic_search_usearch, "semantic_search_usearch", "float32"),
    (semantic_search_usearch, "semantic_search_usearch", "int8"),
    (semantic_search_usearch, "semantic_search_usearch", "binary"),
    (semantic_search_usearch, "semantic_search_usearch", "ubinary"),
]


def scores(hits):
    return [[h["score"] for h in row] for row in hits]


@pytest.mark.parametrize(("search", "name", "precision"), SEARCHES)
@pytest.mark.parametrize("rescore", [True, False])
@pytest.mark.parametrize("top_k", [3, 500])
def test_exact_search_equal(search, name, precision, rescore, top_k):
    corpus, queries = vectors(300, 48), vectors(7, 48, seed=9)
    ranges = np.vstack([corpus.min(0), corpus.max(0)])
    codes = quantize_embeddings(corpus, precision, ranges=ranges)
    options = {
        "corpus_precision": precision,
        "top_k": top_k,
        "ranges": ranges,
        "rescore": rescore,
        # Codes tie, and an engine may choose among ties: with all rows as candidates there is nothing to
        # choose.
        "rescore_multiplier": 100,
    }
    ours, seconds, index = search(queries, codes, output_index=True, **options)
    theirs, _ = getattr(reference, name)(queries, codes, **options)
    assert seconds >= 0
    if rescore or precision == "float32":
        same_hits(ours, theirs)
    else:
        assert scores(ours) == scores(theirs)
    again, _ = search(queries, corpus_index=index, **options)
    assert scores(again) == scores(ours)


@pytest.mark.parametrize(("search", "name", "precision"), SEARCHES)
def test_approximate_search_finds_as_much(search, name, precision):
    corpus, queries = vectors(300, 48), vectors(20, 48, seed=9)
    ranges = np.vstack([corpus.min(0), corpus.max(0)])
    codes = quantize_embeddings(corpus, precision, ranges=ranges)
    options = {"corpus_precision": precision, "ranges": ranges, "rescore_multiplier": 10}
    exact, _ = getattr(reference, name)(queries, codes, **options)
    theirs, _ = getattr(reference, name)(queries, codes, exact=False, **options)
    ours, _ = search(queries, codes, exact=False, **options)
    assert overlap(exact, ours) >= overlap(exact, theirs) - 0.02


def overlap(expected, found) -> float:
    """Share of the expected results that were found."""
    ids = [
        ({h["corpus_id"] for h in a}, {h["corpus_id"] for h in b})
        for a, b in zip(expected, found, strict=True)
    ]
    return sum(len(a & b) for a, b in ids) / sum(len(a) for a, _ in ids)


@pytest.mark.parametrize(("search", "name", "precision"), SEARCHES)
def test_quantised_queries_and_calibration_equal(search, name, precision):
    corpus, queries, sample = vectors(200, 40), vectors(5, 40, seed=3), vectors(150, 40, seed=4)
    codes = quantize_embeddings(corpus, precision, calibration_embeddings=sample)
    theirs_search = getattr(reference, name)
    options = {
        "corpus_precision": precision,
        "top_k": 5,
        "rescore_multiplier": 40,
        "calibration_embeddings": sample,
    }
    same_hits(search(queries, codes, **options)[0], theirs_search(queries, codes, **options)[0])
    query_codes = quantize_embeddings(queries, precision, calibration_embeddings=sample)
    options = {"corpus_precision": precision, "rescore": False}
    ours, theirs = search(query_codes, codes, **options)[0], theirs_search(query_codes, codes, **options)[0]
    assert scores(ours) == scores(theirs)


@pytest.mark.parametrize(("search", "name", "precision"), SEARCHES)
@pytest.mark.parametrize("width", [13, 21])
def test_widths_that_fill_no_byte_equal(search, name, precision, width):
    corpus, queries = vectors(120, width), vectors(6, width, seed=5)
    ranges = np.vstack([corpus.min(0), corpus.max(0)])
    codes = quantize_embeddings(corpus, precision, ranges=ranges)
    options = {"corpus_precision": precision, "top_k": 4, "ranges": ranges, "rescore_multiplier": 30}
    same_hits(search(queries, codes, **options)[0], getattr(reference, name)(queries, codes, **options)[0])


SCALARS = [row for row in SEARCHES if "binary" not in row[2]]


@pytest.mark.parametrize(("search", "name", "precision"), SCALARS)
@pytest.mark.parametrize("multiplier", [1, 2, 4])
def test_rescore_multiplier_equal(search, name, precision, multiplier):
    corpus, queries = vectors(400, 32), vectors(9, 32, seed=6)
    codes = quantize_embeddings(corpus, precision)
    options = {
        "corpus_precision": precision,
        "calibration_embeddings": corpus,
        "rescore_multiplier": multiplier,
        "top_k": 6,
    }
    same_hits(search(queries, codes, **options)[0], getattr(reference, name)(queries, codes, **options)[0])


@pytest.mark.parametrize(("search", "name", "precision"), SEARCHES)
def test_ranges_of_the_queries_equal(search, name, precision):
    # Neither ranges nor calibration: those of the queries, in both libraries.
    corpus, queries = vectors(200, 24), vectors(130, 24, seed=7)
    codes = quantize_embeddings(corpus, precision)
    options = {"corpus_precision": precision, "top_k": 3, "rescore_multiplier": 70}
    same_hits(search(queries, codes, **options)[0], getattr(reference, name)(queries, codes, **options)[0])


@pytest.mark.parametrize(("search", "name", "precision"), SEARCHES)
@pytest.mark.parametrize("exact", [True, False])
def test_indexes_are_exchanged(search, name, precision, exact):
    corpus, queries = vectors(150, 40), vectors(5, 40, seed=8)
    ranges = np.vstack([corpus.min(0), corpus.max(0)])
    codes = quantize_embeddings(corpus, precision, ranges=ranges)
    options = {"corpus_precision": precision, "top_k": 5, "ranges": ranges, "rescore_multiplier": 30}
    *_, ours = search(queries, codes, exact=exact, output_index=True, **options)
    *_, theirs = getattr(reference, name)(queries, codes, exact=exact, output_index=True, **options)
    assert type(ours) is type(theirs)
    same_hits(
        search(queries, corpus_index=theirs, **options)[0],
        getattr(reference, name)(queries, corpus_index=ours, **options)[0],
    )
