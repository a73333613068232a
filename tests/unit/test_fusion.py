"""The fused score, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from indexing.search.fusion import KEYWORD_CAP, SEMANTIC_WEIGHT, SHARE_CAP, TRUST, USUAL_PEAK, fuse, shares


def test_by_hand():
    semantic, keyword = np.array([0.5, 0.1], np.float32), np.array([0.0, 6.0], np.float32)
    peak = (0.5 - 0.1) / 0.1
    weight = SEMANTIC_WEIGHT * (peak / USUAL_PEAK) ** TRUST
    expected = [weight * 4.0, weight * 0.0 + 6.0 / 2.0]
    np.testing.assert_allclose(fuse(semantic, keyword, 0.1, 0.1, 2.0), expected, rtol=1e-6)


def test_a_rare_word_counts_for_no_more_than_the_cap():
    fused = fuse(np.zeros(2, np.float32), np.array([300.0, 150.0], np.float32), 0.0, 0.1, 2.0)
    np.testing.assert_allclose(fused, [KEYWORD_CAP, KEYWORD_CAP / 2], rtol=1e-6)


def test_a_best_that_stands_out_without_end_counts_for_no_more_than_the_cap():
    by_meaning, by_words = shares(np.array([0.9, 0.45]), np.array([0.0, 6.0]), 0.0, 0.01, 2.0)
    np.testing.assert_allclose(by_meaning, [SHARE_CAP, SHARE_CAP / 2])
    np.testing.assert_allclose(by_words, [0.0, 3.0])


def test_a_rare_word_counts_for_as_much_as_the_best_by_meaning():
    semantic = np.append(np.full(100, 0.6), 0.1)
    keyword = np.append(np.zeros(100), 300.0)
    for spread, most in ((0.01, SHARE_CAP), (0.06, SEMANTIC_WEIGHT * (10 / USUAL_PEAK) ** TRUST * 10)):
        by_meaning, by_words = shares(semantic, keyword, 0.0, spread, 2.0)
        assert by_meaning.max() == by_words.max() == pytest.approx(min(SHARE_CAP, most))
        assert np.argmax(by_meaning + by_words) == 100


def test_scales_of_the_legs_do_not_matter():
    rng = np.random.default_rng(0)
    semantic, keyword = rng.random(50), rng.random(50) * 20
    one = fuse(semantic, keyword, 0.2, 0.1, 3.0)
    other = fuse(semantic * 7 + 3, keyword * 11, 0.2 * 7 + 3, 0.1 * 7, 33.0)
    np.testing.assert_allclose(one, other, rtol=1e-4)


def test_a_leg_that_cannot_tell_documents_apart_is_left_out():
    semantic, keyword = np.array([0.3, 0.6], np.float32), np.array([5.0, 1.0], np.float32)
    assert np.argmax(fuse(semantic, keyword, 0.0, 0.0, 1.0)) == 0
    assert np.argmax(fuse(semantic, keyword, 0.0, 0.1, 0.0)) == 1


def test_no_candidates_and_flat_scores():
    empty = np.empty(0, np.float32)
    assert fuse(empty, empty, 0.0, 0.1, 1.0).tolist() == []
    assert fuse(np.full(3, 0.2), np.zeros(3), 0.2, 0.0, 0.0).tolist() == [0.0, 0.0, 0.0]
