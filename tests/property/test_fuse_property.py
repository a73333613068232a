"""Fusing a list of legs gives a semantic and a keyword leg what a formula for the two gives, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from indexing.search.fuse import LegScores, fuse, shares
from indexing.search.legs.base import Scale

numbers = st.floats(-1, 1, width=32)
spreads = st.sampled_from([0.0, 1e-6, 0.01, 0.1, 3.0])


@st.composite
def scores(draw):
    n = draw(st.integers(0, 12))
    semantic = draw(st.lists(numbers, min_size=n, max_size=n))
    keyword = draw(st.lists(st.one_of(st.just(0.0), st.floats(0, 500, width=32)), min_size=n, max_size=n))
    return np.asarray(semantic, np.float32), np.asarray(keyword, np.float32)


def two(semantic, keyword, centre, spread, keyword_spread):
    """(by meaning, by words), each float64 [n]."""
    by_meaning, by_words = np.zeros(len(semantic)), np.zeros(len(keyword))
    if len(semantic) and spread > 0:
        far = (semantic.astype(np.float64) - centre) / spread
        far = 1.4 * (max(far.max(), 0.0) / 4.3) ** 2.0 * far
        by_meaning = far * min(1.0, 24.0 / max(far.max(), 1e-9))
    if len(semantic) and keyword_spread > 0:
        bound = max(8.0, by_meaning.max())
        far = keyword.astype(np.float64) / keyword_spread
        by_words = far * min(1.0, bound / max(far.max(), 1e-9))
    return by_meaning, by_words


@given(scores(), numbers, spreads, spreads)
def test_two_legs_of_a_list_are_as_the_two_by_themselves(given_scores, centre, spread, keyword_spread):
    semantic, keyword = given_scores
    legs = [
        LegScores("semantic", "similarity", semantic, Scale(centre, spread)),
        LegScores("keyword", "frequency", keyword, Scale(0.0, keyword_spread)),
    ]
    by_meaning, by_words = two(semantic, keyword, centre, spread, keyword_spread)
    assert shares(legs).tolist() == [by_meaning.tolist(), by_words.tolist()]
    assert fuse(legs).tolist() == (by_meaning + by_words).astype(np.float32).tolist()
    assert fuse(legs[::-1]).tolist() == fuse(legs).tolist()


@given(scores(), spreads, st.lists(st.floats(0, 4), min_size=2, max_size=2))
def test_the_score_is_linear_in_the_weights(given_scores, spread, weights):
    semantic, keyword = given_scores
    plain = [
        LegScores("semantic", "similarity", semantic, Scale(0.1, spread)),
        LegScores("keyword", "frequency", keyword, Scale(0.0, 2.0)),
    ]
    weighted = [
        LegScores(leg.name, leg.kind, leg.scores, leg.scale, weight)
        for leg, weight in zip(plain, weights, strict=True)
    ]
    np.testing.assert_array_equal(shares(weighted), shares(plain) * np.asarray(weights)[:, None])
