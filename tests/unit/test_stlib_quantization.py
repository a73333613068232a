"""Quantisation by hand-computed values, and its errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stlib.errors import InvalidInput, InvalidOption
from stlib.util.quantization import dequantize_scalar, quantize_embeddings
from stlib.util.quantized_search import semantic_search_faiss, semantic_search_usearch

RANGES = np.array([[0.0, -1.0], [25.5, 1.0]], dtype=np.float32)


def test_uint8_and_int8_by_hand():
    # buckets are 0.1 and 2 / 255 wide; the last rows lie outside the ranges
    x = np.array([[0.05, -1.0], [0.15, 0.001], [25.35, 2.0], [-3.0, 0.999]], dtype=np.float32)
    unsigned = [[0, 0], [1, 127], [253, 255], [0, 254]]
    assert quantize_embeddings(x, "uint8", ranges=RANGES).tolist() == unsigned
    assert quantize_embeddings(x, "int8", ranges=RANGES).tolist() == [
        [u - 128 for u in row] for row in unsigned
    ]


def test_bits_by_hand_and_padding_to_a_byte():
    x = np.array([[1, -1, 0, 2, -3, -3, -3, 1, 5]], dtype=np.float32)
    assert quantize_embeddings(x, "ubinary").tolist() == [[0b10010001, 0b10000000]]
    assert quantize_embeddings(x, "binary").tolist() == [[0b10010001 - 128, 0]]


@pytest.mark.parametrize(
    ("precision", "dtype", "width"),
    [
        ("float32", "float32", 9),
        ("int8", "int8", 9),
        ("uint8", "uint8", 9),
        ("binary", "int8", 2),
        ("ubinary", "uint8", 2),
    ],
)
def test_no_rows_keep_dtype_and_width(precision, dtype, width):
    codes = quantize_embeddings(np.zeros((0, 9), dtype=np.float32), precision)
    assert codes.shape == (0, width)
    assert codes.dtype == dtype
    assert quantize_embeddings([], precision) == []


@given(arrays(np.float32, (5, 3), elements=st.floats(-2, 2, width=32)), st.sampled_from(["int8", "uint8"]))
def test_dequantised_error_is_at_most_one_bucket(x, precision):
    ranges = np.array([[-2] * 3, [2] * 3], dtype=np.float32)
    back = dequantize_scalar(quantize_embeddings(x, precision, ranges=ranges), precision, ranges)
    assert np.all(np.abs(back - x) <= 4 / 255 + 1e-6)


def test_errors_say_what_is_allowed():
    x = np.ones((3, 8), dtype=np.float32)
    with pytest.raises(
        InvalidOption, match="'int4' is unknown; use one of: float32, int8, uint8, binary, ubinary"
    ):
        quantize_embeddings(x, "int4")
    with pytest.raises(InvalidInput, match="int8 codes already"):
        quantize_embeddings(x.astype(np.int8), "binary")
    with pytest.raises(InvalidInput, match="single embedding"):
        quantize_embeddings(x[:1], "int8")
    with pytest.raises(InvalidOption, match="faiss has no precision 'int8'"):
        semantic_search_faiss(x, x, corpus_precision="int8")
    with pytest.raises(InvalidOption, match="usearch has no precision 'uint8'"):
        semantic_search_usearch(x, x, corpus_precision="uint8")
    with pytest.raises(InvalidInput, match="no corpus"):
        semantic_search_faiss(x)
    with pytest.raises(InvalidInput, match="both"):
        semantic_search_usearch(x, x, corpus_index=object())


@pytest.mark.parametrize("search", [semantic_search_faiss, semantic_search_usearch])
@pytest.mark.parametrize("rescore", [True, False])
def test_search_in_an_empty_corpus_finds_nothing(search, rescore):
    none = np.zeros((0, 1), dtype=np.uint8)
    hits, _ = search(np.ones((2, 8), dtype=np.float32), none, corpus_precision="ubinary", rescore=rescore)
    assert hits == [[], []]
