"""Models without padding against the reference, for every pooling and for modules that look at padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stlib import SentenceTransformer
from stlib.models import CNN, Pooling, Transformer

TEXTS = ["how do i sort a list", "word", "", "the quick brown fox jumps over the lazy dog", "a list of words"]
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]


@pytest.mark.parametrize("mode", MODES)
def test_all_poolings_equal(reference, tiny_bert, mode):
    from sentence_transformers.base import modules as base
    from sentence_transformers.sentence_transformer import modules as theirs

    ours = SentenceTransformer(modules=[Transformer(tiny_bert, unpad_inputs=True), Pooling(32, mode)])
    parts = [base.Transformer(tiny_bert), theirs.Pooling(32, pooling_mode=mode)]
    expected = reference.SentenceTransformer(modules=parts, device="cpu").encode(TEXTS)
    np.testing.assert_allclose(ours.to("cpu").encode(TEXTS), expected, rtol=0, atol=1e-5)


def test_a_convolution_sees_the_same_padding(reference, tiny_bert):
    from sentence_transformers.base import modules as base
    from sentence_transformers.sentence_transformer import modules as theirs

    ours = SentenceTransformer(modules=[Transformer(tiny_bert), CNN(32, 8), Pooling(24)], device="cpu")
    parts = [base.Transformer(tiny_bert), theirs.CNN(32, 8), theirs.Pooling(24)]
    expected = reference.SentenceTransformer(modules=parts, device="cpu")
    expected[1].load_state_dict(ours[1].state_dict())
    # One batch for both: values at padding depend on the neighbours.
    np.testing.assert_allclose(ours.encode(TEXTS), expected.encode(TEXTS), rtol=0, atol=1e-5)


def test_half_precision_is_returned_as_float32_arrays(tiny_bert):
    half = SentenceTransformer(tiny_bert, device="cpu", model_kwargs={"dtype": "bfloat16"})
    whole = SentenceTransformer(tiny_bert, device="cpu")
    assert half.dtype is torch.bfloat16
    vectors, exact = half.encode(TEXTS), whole.encode(TEXTS)
    assert vectors.dtype == np.float32
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(exact, axis=1)
    assert ((vectors * exact).sum(axis=1) / norms).min() > 0.999
