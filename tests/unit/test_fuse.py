"""The fused score, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from indexing.search.fuse import (
    KEYWORD_CAP,
    SEMANTIC_WEIGHT,
    SHARE_CAP,
    TRUST,
    USUAL_PEAK,
    LegScores,
    fuse,
    shares,
)
from indexing.search.legs.base import Scale


def two(semantic, keyword, centre, semantic_spread, keyword_spread, weights=(1.0, 1.0)):
    """A semantic and a keyword leg."""
    return [
        LegScores("semantic", "similarity", np.asarray(semantic), Scale(centre, semantic_spread), weights[0]),
        LegScores("keyword", "frequency", np.asarray(keyword), Scale(0.0, keyword_spread), weights[1]),
    ]


def test_by_hand():
    semantic, keyword = np.array([0.5, 0.1], np.float32), np.array([0.0, 6.0], np.float32)
    peak = (0.5 - 0.1) / 0.1
    weight = SEMANTIC_WEIGHT * (peak / USUAL_PEAK) ** TRUST
    expected = [weight * 4.0, weight * 0.0 + 6.0 / 2.0]
    np.testing.assert_allclose(fuse(two(semantic, keyword, 0.1, 0.1, 2.0)), expected, rtol=1e-6)


def test_a_rare_word_counts_for_no_more_than_the_cap():
    fused = fuse(two(np.zeros(2, np.float32), np.array([300.0, 150.0], np.float32), 0.0, 0.1, 2.0))
    np.testing.assert_allclose(fused, [KEYWORD_CAP, KEYWORD_CAP / 2], rtol=1e-6)


def test_a_best_that_stands_out_without_end_counts_for_no_more_than_the_cap():
    by_meaning, by_words = shares(two(np.array([0.9, 0.45]), np.array([0.0, 6.0]), 0.0, 0.01, 2.0))
    np.testing.assert_allclose(by_meaning, [SHARE_CAP, SHARE_CAP / 2])
    np.testing.assert_allclose(by_words, [0.0, 3.0])


def test_a_rare_word_counts_for_as_much_as_the_best_by_meaning():
    semantic = np.append(np.full(100, 0.6), 0.1)
    keyword = np.append(np.zeros(100), 300.0)
    for spread, most in ((0.01, SHARE_CAP), (0.06, SEMANTIC_WEIGHT * (10 / USUAL_PEAK) ** TRUST * 10)):
        by_meaning, by_words = shares(two(semantic, keyword, 0.0, spread, 2.0))
        assert by_meaning.max() == by_words.max() == pytest.approx(min(SHARE_CAP, most))
        assert np.argmax(by_meaning + by_words) == 100


def test_scales_of_the_legs_do_not_matter():
    rng = np.random.default_rng(0)
    semantic, keyword = rng.random(50), rng.random(50) * 20
    one = fuse(two(semantic, keyword, 0.2, 0.1, 3.0))
    other = fuse(two(semantic * 7 + 3, keyword * 11, 0.2 * 7 + 3, 0.1 * 7, 33.0))
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_a_leg_that_cannot_tell_documents_apart_is_left_out():
    semantic, keyword = np.array([0.3, 0.6], np.float32), np.array([5.0, 1.0], np.float32)
    assert np.argmax(fuse(two(semantic, keyword, 0.0, 0.0, 1.0))) == 0
    assert np.argmax(fuse(two(semantic, keyword, 0.0, 0.1, 0.0))) == 1


def test_no_candidates_and_flat_scores():
    empty = np.empty(0, np.float32)
    assert fuse(two(empty, empty, 0.0, 0.1, 1.0)).tolist() == []
    assert fuse(two(np.full(3, 0.2), np.zeros(3), 0.2, 0.0, 0.0)).tolist() == [0.0, 0.0, 0.0]


def test_weights_multiply_the_shares_and_nothing_else():
    semantic, keyword = np.array([0.9, 0.45, 0.1]), np.array([0.0, 600.0, 6.0])
    plain = shares(two(semantic, keyword, 0.1, 0.01, 2.0))
    weighted = shares(two(semantic, keyword, 0.1, 0.01, 2.0, weights=(0.5, 3.0)))
    np.testing.assert_array_equal(weighted, plain * np.array([[0.5], [3.0]]))
    np.testing.assert_array_equal(shares(two(semantic, keyword, 0.1, 0.01, 2.0, weights=(0.0, 1.0)))[0], 0)


def test_any_number_of_legs():
    """Similarity legs stand on their own; a frequency leg may count for as much as the best of them."""
    one, other = np.array([0.5, 0.1, 0.1]), np.array([0.1, 0.8, 0.1])
    words = np.array([0.0, 0.0, 500.0])
    legs = [
        LegScores("one", "similarity", one, Scale(0.1, 0.1)),
        LegScores("words", "frequency", words, Scale(0.0, 2.0)),
        LegScores("other", "similarity", other, Scale(0.1, 0.05)),
    ]
    table = shares(legs)
    trusts = [SEMANTIC_WEIGHT * (peak / USUAL_PEAK) ** TRUST for peak in (4.0, 14.0)]
    np.testing.assert_allclose(table[0], [4.0 * trusts[0], 0, 0], atol=1e-9)
    np.testing.assert_allclose(table[2], [0, min(14.0 * trusts[1], SHARE_CAP), 0], atol=1e-9)
    np.testing.assert_allclose(table[1], [0, 0, table[2].max()])
    np.testing.assert_array_equal(fuse(legs), table.sum(axis=0).astype(np.float32))
    np.testing.assert_allclose(shares([legs[1]]), [[0, 0, KEYWORD_CAP]])
