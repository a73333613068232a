"""Codes of token vectors: what they keep, whatever the vectors and however they are put together."""

from __future__ import annotations

import json
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.beside.token_calibration import fit_tokens
from indexing.beside.token_codes import BITS, TokenCodec
from indexing.errors import StorageError

SIZES = st.lists(st.integers(0, 9), min_size=0, max_size=7)


def unit(rng, n, d):
    """Vectors of length 1 about a few directions, as those of tokens are."""
    rows = rng.normal(size=(n, d)) + 2 * rng.normal(size=(5, d))[rng.integers(5, size=n)]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def made(seed, d, bits, centroids=16):
    rng = np.random.default_rng(seed)
    return rng, fit_tokens(unit(rng, 400, d), bits, centroids)


def maxsim(query, vectors):
    """As it is defined."""
    return sum(max(float(q @ v) for v in vectors) for q in query)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 21), st.sampled_from(BITS), SIZES)
def test_scores_are_maxsim_of_what_the_codes_stand_for(seed, d, bits, sizes):
    rng, codec = made(seed, d, bits)
    codes = codec.encode([unit(rng, size, d) for size in sizes])
    query = rng.normal(size=(3, d)).astype(np.float32)
    decoded = codec.decode(codes)
    assert [part.shape for part in decoded] == [(size, d) for size in sizes]
    for score, vectors in zip(codec.scores(query, codes), decoded, strict=True):
        if len(vectors):
            assert score == pytest.approx(maxsim(query, vectors), abs=1e-3)
        else:
            assert np.isnan(score)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(BITS), SIZES)
def test_a_code_depends_on_its_passage_alone(seed, bits, sizes):
    rng, codec = made(seed, 8, bits)
    passages = [unit(rng, size, 8) for size in sizes]
    codes = codec.encode(passages)
    assert [len(code) for code in codes] == [size * codec.token_bytes + 4 for size in sizes]
    assert codec.encode(passages[::-1]) == codes[::-1]
    assert [codec.encode([one])[0] for one in passages] == codes
    again = TokenCodec.from_settings(json.loads(json.dumps(codec.to_settings())), 8)
    assert again.encode(passages) == codes


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.sampled_from(BITS), st.floats(0.01, 100))
def test_lengths_are_kept_and_a_zero_stays_one(seed, d, bits, factor):
    rng, codec = made(seed, d, bits)
    vectors = unit(rng, 20, d) * np.float32(factor)
    vectors[3] = 0
    (decoded,) = codec.decode(codec.encode([vectors]))
    got = np.linalg.norm(decoded, axis=1)
    assert np.allclose(got, np.linalg.norm(vectors, axis=1), rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(("bits", "least"), [(2, 0.9), (4, 0.99), (8, 0.9995)])
def test_more_bits_come_nearer(bits, least):
    vectors = unit(np.random.default_rng(1), 900, 32)
    codec = fit_tokens(vectors[:400], bits, 16)
    vectors = vectors[400:]
    (decoded,) = codec.decode(codec.encode([vectors]))
    assert np.sum(decoded * vectors, axis=1).mean() > least
    assert codec.token_bytes == 3 + 32 * bits // 8


def test_a_portion_is_no_border(monkeypatch):
    rng, codec = made(2, 6, 4)
    passages = [unit(rng, size, 6) for size in (3, 0, 5, 1, 0, 4, 7)]
    query = rng.normal(size=(2, 6)).astype(np.float32)
    codes = codec.encode(passages)
    scores = codec.scores(query, codes)
    monkeypatch.setattr("indexing.beside.token_codes._PORTION", 4)
    assert codec.encode(passages) == codes
    np.testing.assert_allclose(codec.scores(query, codes), scores, atol=1e-5)


def test_no_passages_and_none_with_tokens():
    _, codec = made(3, 4, 2)
    query = np.ones((1, 4), np.float32)
    assert codec.encode([]) == [] and codec.decode([]) == [] and codec.scores(query, []).tolist() == []
    (empty,) = codec.encode([np.empty((0, 4))])
    assert empty == bytes(4)
    assert np.isnan(codec.scores(query, [empty, empty])).all()


@pytest.mark.parametrize(
    "vectors", [np.ones((2, 5)), np.ones(4), np.full((1, 4), np.nan), np.ones((1, 4, 1))]
)
def test_what_are_no_vectors_of_tokens_is_refused(vectors):
    _, codec = made(4, 4, 2)
    with pytest.raises(ValueError, match="vectors of"):
        codec.encode([np.ones((1, 4)), vectors])


def test_altered_codes_are_noticed():
    rng, codec = made(5, 4, 4)
    (code,) = codec.encode([unit(rng, 3, 4)])
    query = np.ones((1, 4), np.float32)
    body = code[:-4]
    turned = bytes([code[0] ^ 1]) + code[1:]
    shorter, longer = (part + crc32(part).to_bytes(4, "little") for part in (body[:-1], body + b"x"))
    # Somebody may have written the checksum anew.
    forged = [bytes([len(codec.centroids)]) + body[1:]]
    forged += [body[:1] + np.float16(length).tobytes() + body[3:] for length in ("inf", "nan", -1)]
    forged = [part + crc32(part).to_bytes(4, "little") for part in forged]
    for altered in (b"", code[:-1], code + b"x", turned, shorter, longer, *forged):
        with pytest.raises(StorageError, match="stlib verify"):
            codec.scores(query, [code, altered])
        with pytest.raises(StorageError, match="stlib verify"):
            codec.decode([altered])


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 3},
        {"bits": None},
        {"bits": 2.0},
        {"levels": [0.0]},
        {"levels": "wide"},
        {"levels": [2.0, 1.0, 0.0, -1.0]},
        {"spread": "AAA"},
        {"spread": ""},
        {"spread": "AAAAAAAAAAA="},
        {"centroids": ""},
        {"centroids": "AHw="},
        {"centroids": 5},
    ],
    ids=str,
)
def test_altered_settings_are_noticed(change):
    _, codec = made(6, 4, 2)
    with pytest.raises(StorageError, match="stlib verify"):
        TokenCodec.from_settings({**codec.to_settings(), **change}, 4)
    with pytest.raises(StorageError, match="stlib verify"):
        TokenCodec.from_settings({}, 4)
