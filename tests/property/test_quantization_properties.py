"""Laws of quantisation over generated vectors of any width."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stlib.util import quantized_codes
from stlib.util.quantized_codes import dequantize_scalar, quantize_embeddings

values = st.floats(-3, 3, width=32, allow_nan=False)
shapes = st.tuples(st.integers(2, 25), st.integers(1, 21))
samples = hnp.arrays(np.float32, shapes, elements=values)
scalar = st.sampled_from(["int8", "uint8"])
# Rounding of a bucket's edge in float32, which moves a value by a bucket at most where it lies on the edge
EDGE = 1e-5


@pytest.fixture(scope="module", params=[1, 40, 2**17], autouse=True)
def block(request):
    """Blocks smaller and larger than the vectors, which must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantized_codes, "_BUCKETS_AT_A_TIME", request.param)
        patch.setattr(quantized_codes, "_SIGNS_AT_A_TIME", request.param)
        yield request.param


@given(samples, scalar)
@settings(max_examples=30, deadline=None)
def test_dequantised_values_lie_less_than_one_bucket_below(x, precision):
    ranges = np.vstack([x.min(axis=0), x.max(axis=0)])
    back = dequantize_scalar(quantize_embeddings(x, precision), precision, ranges)
    width = (ranges[1] - ranges[0]) / 255
    assert np.all(x - back <= width + EDGE)
    assert np.all(x - back >= -EDGE)


@given(samples, samples, scalar)
@settings(max_examples=30, deadline=None)
def test_values_outside_the_calibration_go_to_the_nearest_end(x, sample, precision):
    d = min(x.shape[1], sample.shape[1])
    x, sample = x[:, :d], sample[:, :d]
    ranges = np.vstack([sample.min(axis=0), sample.max(axis=0)])
    codes = quantize_embeddings(x, precision, calibration_embeddings=sample)
    np.testing.assert_array_equal(codes, quantize_embeddings(x, precision, ranges=ranges))
    inside = np.clip(x, *ranges)
    width = (ranges[1] - ranges[0]) / 255
    error = np.abs(inside - dequantize_scalar(codes, precision, ranges))
    # A dimension that was constant has no range to be coded in: its buckets are 1 wide.
    assert np.all((error <= width + EDGE)[:, width > 0])


def test_tiny_ranges_do_not_overflow():
    sample = np.array([[0.0], [1.1754944e-38]], dtype=np.float32)
    x = np.array([[1.0], [-1.0]], dtype=np.float32)
    assert quantize_embeddings(x, "uint8", calibration_embeddings=sample).tolist() == [[255], [0]]


@given(samples)
@settings(max_examples=30, deadline=None)
def test_order_within_a_dimension_is_kept(x):
    codes = quantize_embeddings(x, "uint8").astype(int)
    order = np.argsort(x, axis=0, kind="stable")
    assert np.all(np.diff(np.take_along_axis(codes, order, axis=0), axis=0) >= 0)
    np.testing.assert_array_equal(quantize_embeddings(x, "int8").astype(int), codes - 128)


@given(samples)
@settings(max_examples=30, deadline=None)
def test_bits_are_the_signs_and_padding_is_zero(x):
    bits = quantize_embeddings(x, "ubinary")
    unpacked = np.unpackbits(bits, axis=1)
    np.testing.assert_array_equal(unpacked[:, : x.shape[1]], x > 0)
    assert not unpacked[:, x.shape[1] :].any()
    np.testing.assert_array_equal(quantize_embeddings(x, "binary").astype(int), bits.astype(int) - 128)


@given(samples, st.sampled_from(["float32", "int8", "uint8", "binary", "ubinary"]))
@settings(max_examples=30, deadline=None)
def test_rows_do_not_depend_on_their_neighbours(x, precision):
    ranges = np.vstack([x.min(axis=0), x.max(axis=0)])
    whole = quantize_embeddings(x, precision, ranges=ranges)
    for i, row in enumerate(x):
        np.testing.assert_array_equal(quantize_embeddings(row, precision, ranges=ranges), whole[i])
    assert not np.shares_memory(whole, x)
