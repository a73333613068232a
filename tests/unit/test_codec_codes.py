"""Codes by hand: buckets, centres, clipping, and what is refused."""

import numpy as np
import pytest

from indexing.errors import BadInput
from indexing.quantization import Codec, normalize

RANGES = np.array([[0.0, -1.0], [256.0, 1.0]], dtype=np.float32)


def test_buckets_and_centres_by_hand():
    codec = Codec("uint8", 2, RANGES)
    codes, clipped = codec.encode(
        np.array([[0.0, -1.0], [1.5, 0.0], [256.0, 1.0], [-5, 9]], dtype=np.float32)
    )
    assert codes.tolist() == [[0, 0], [1, 128], [255, 255], [0, 255]] and clipped == 2
    assert codes.dtype == np.uint8
    assert codec.decode(codes)[:2].tolist() == [[0.5, -0.99609375], [1.5, 0.00390625]]


def test_int8_is_uint8_shifted():
    vectors = np.array([[3.2, 0.7], [250.0, -0.3]], dtype=np.float32)
    unsigned = Codec("uint8", 2, RANGES).encode(vectors).codes
    signed, _ = Codec("int8", 2, RANGES).encode(vectors)
    assert signed.dtype == np.int8
    np.testing.assert_array_equal(signed, unsigned.astype(int) - 128)
    np.testing.assert_array_equal(
        Codec("int8", 2, RANGES).decode(signed), Codec("uint8", 2, RANGES).decode(unsigned)
    )


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_binary_stores_int8_and_derives_signs(precision):
    codec = Codec(precision, 10, np.stack([-np.ones(10), np.ones(10)]).astype(np.float32))
    assert codec.is_binary and codec.dtype == np.int8 and codec.code_bytes == 10
    vector = np.array([[1, -1, 1, -1, 1, -1, 1, -1, 1, 1]], dtype=np.float32) * 0.5
    codes, _ = codec.encode(vector)
    assert codec.sign_bits(codes).tolist() == [[0b10101010, 0b11000000]]
    assert codec.query_bits(vector[0]).tolist() == [0b10101010, 0b11000000]


def test_float32_is_stored_as_it_is():
    vectors = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    codec = Codec.fit("float32", vectors[:0])
    codes, clipped = codec.encode(vectors)
    assert codec.code_bytes == 12 and clipped == 0
    np.testing.assert_array_equal(codec.decode(codes), vectors)


def test_a_constant_dimension_is_safe():
    sample = np.full((4, 3), 0.25, dtype=np.float32)
    codec = Codec.fit("int8", sample)
    codes, clipped = codec.encode(sample)
    assert clipped == 0
    np.testing.assert_allclose(codec.decode(codes), sample, atol=1e-5)
    zero = Codec.fit("uint8", np.zeros((1, 3), dtype=np.float32))
    np.testing.assert_allclose(zero.decode(zero.encode(np.zeros((1, 3))).codes), 0, atol=1e-6)


def test_ranges_come_from_the_sample_only():
    rng = np.random.default_rng(1)
    sample = rng.normal(size=(100, 4)).astype(np.float32)
    codec = Codec.fit("int8", sample)
    alone, _ = codec.encode(sample[:1])
    np.testing.assert_array_equal(alone[0], codec.encode(sample * np.linspace(1, 5, 100)[:, None]).codes[0])
    assert (codec.ranges[0] < sample.min(axis=0)).all() and (codec.ranges[1] > sample.max(axis=0)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused(bad):
    vectors = np.zeros((3, 4), dtype=np.float32)
    vectors[1, 2] = bad
    codec = Codec("int8", 4, np.stack([-np.ones(4), np.ones(4)]))
    for refused in (
        lambda: codec.encode(vectors),
        lambda: Codec.fit("int8", vectors),
        lambda: normalize(vectors),
    ):
        with pytest.raises(BadInput, match="row 1"):
            refused()


def test_wrong_shapes_and_names_are_refused():
    codec = Codec("int8", 4, np.stack([-np.ones(4), np.ones(4)]))
    with pytest.raises(BadInput, match=r"\[2, 3\], expected \[n, 4\]"):
        codec.encode(np.zeros((2, 3)))
    with pytest.raises(BadInput, match="int8, uint8"):
        Codec("int4", 4)
    with pytest.raises(BadInput, match="ranges"):
        Codec("int8", 4)
    with pytest.raises(BadInput, match="at least one sample"):
        Codec.fit("int8", np.zeros((0, 4)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        '{"precision":"int8","dimension":2,"ranges":"!!"}',
        '{"precision":"int8","dimension":2,"ranges":null}',
    ],
)
def test_text_that_is_no_codec(text):
    with pytest.raises(BadInput):
        Codec.from_json(text)


def test_normalize_survives_extreme_lengths():
    vectors = np.array([[3e30, 4e30], [3e-30, 4e-30], [0, 0]], dtype=np.float32)
    np.testing.assert_allclose(normalize(vectors), [[0.6, 0.8], [0.6, 0.8], [0, 0]], rtol=1e-6)
    assert normalize(np.array([0.0, 2.0])).tolist() == [0.0, 1.0]
