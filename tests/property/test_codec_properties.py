"""Laws of the codec over generated vectors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from indexing.quantization import Codec, normalize

SCALAR = ["int8", "uint8", "binary", "ubinary"]
values = st.floats(-1, 1, width=32, allow_nan=False)
samples = hnp.arrays(np.float32, st.tuples(st.integers(1, 20), st.integers(1, 19)), elements=values)


@given(samples, st.sampled_from(SCALAR))
@settings(max_examples=150, deadline=None)
def test_decoding_is_off_by_at_most_half_a_bucket(sample, precision):
    codec = Codec.fit(precision, sample)
    codes, clipped = codec.encode(sample)
    assert clipped == 0
    error = np.abs(codec.decode(codes).astype(np.float64) - sample)
    assert (error <= codec.scale * 0.5 + 1e-6).all()


@given(samples, st.sampled_from(SCALAR))
@settings(max_examples=100, deadline=None)
def test_decoded_vectors_keep_their_codes(sample, precision):
    codec = Codec.fit(precision, sample)
    codes, _ = codec.encode(sample)
    again, _ = codec.encode(codec.decode(codes))
    np.testing.assert_array_equal(again, codes)


@given(samples, st.sampled_from(["float32", *SCALAR]))
@settings(max_examples=100, deadline=None)
def test_text_form_loses_nothing(sample, precision):
    codec = Codec.fit(precision, sample)
    again = Codec.from_json(codec.to_json())
    assert again == codec and hash(again) == hash(codec)
    np.testing.assert_array_equal(again.encode(sample).codes, codec.encode(sample).codes)
    assert again.to_json() == codec.to_json()


@given(samples, samples, st.sampled_from(SCALAR))
@settings(max_examples=100, deadline=None)
def test_values_outside_are_cut_to_the_nearest_bucket_and_counted(sample, other, precision):
    d = min(sample.shape[1], other.shape[1])
    codec = Codec.fit(precision, sample[:, :d])
    other = other[:, :d] * 3
    codes, clipped = codec.encode(other)
    low, high = codec.ranges
    assert clipped == ((other < low) | (other > high)).sum()
    inside = np.clip(other, low, high)
    assert (np.abs(codec.decode(codes).astype(np.float64) - inside) <= codec.scale * 0.5 + 1e-6).all()


@given(samples)
@settings(max_examples=100, deadline=None)
def test_sign_bits_are_the_signs_of_decoded_values(sample):
    codec = Codec.fit("ubinary", sample)
    codes, _ = codec.encode(sample)
    decoded = codec.offset + codec.scale * codes
    np.testing.assert_array_equal(codec.sign_bits(codes), np.packbits(decoded >= 0, axis=1))


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 9)), elements=st.floats(width=32)))
@settings(max_examples=150, deadline=None)
def test_normalize_gives_length_one_or_zero_or_refuses(vectors):
    if not np.isfinite(vectors).all():
        with pytest.raises(Exception, match="NaN or infinite"):
            normalize(vectors)
        return
    lengths = np.linalg.norm(normalize(vectors).astype(np.float64), axis=1)
    zero = ~vectors.any(axis=1)
    np.testing.assert_allclose(lengths[~zero], 1, atol=1e-6)
    assert (lengths[zero] == 0).all()
