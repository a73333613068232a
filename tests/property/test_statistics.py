"""Correlations and thresholds beside SciPy, scikit-learn, and trying everything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stlib.base.evaluation.statistics import (
    average_precision,
    average_ranks,
    best_accuracy,
    best_f1,
    matthews_correlation,
    pearson,
    spearman,
)

# Few different values, so that ties are common
values = st.one_of(st.integers(0, 5).map(lambda n: n / 7), st.floats(-1e6, 1e6, width=32))


@st.composite
def columns(draw, least: int = 2):
    n = draw(st.integers(least, 30))
    first = draw(st.lists(values, min_size=n, max_size=n))
    second = draw(st.lists(values, min_size=n, max_size=n))
    return np.array(first), np.array(second)


@st.composite
def decisions(draw):
    n = draw(st.integers(1, 30))
    labels = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    scores = draw(st.lists(values, min_size=n, max_size=n))
    return np.array(labels), np.array(scores, dtype=draw(st.sampled_from([np.float32, np.float64])))


@settings(deadline=None)  # the first example waits for an import
@given(columns(), st.booleans())
def test_correlations_are_scipys(pair, constant):
    stats = pytest.importorskip("scipy.stats", reason="SciPy comes with the reference")
    x, y = pair
    if constant:
        y = np.full_like(y, y[0])
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)
        expected = stats.pearsonr(x, y)[0], stats.spearmanr(x, y)[0]
    # Near the limit of floats SciPy's own answer has few digits.
    np.testing.assert_allclose((pearson(x, y), spearman(x, y)), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(average_ranks(x), stats.rankdata(x))


def test_correlations_by_hand():
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1)
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    assert spearman([1, 2, 3], [1, 10, 100]) == pytest.approx(1)
    assert spearman([1, 2, 3, 4], [1, 1, 2, 2]) == pytest.approx(4 / math.sqrt(20))
    assert average_ranks([3, 1, 3, 2]).tolist() == [3.5, 1, 3.5, 2]
    assert pearson([1e300, 2e300, 3e300], [1e-300, 2e-300, 3e-300]) == pytest.approx(1)


@pytest.mark.parametrize("pair", [([1], [2]), ([1, 2], [3, 3]), ([1, 2], [3, math.nan]), ([], [])])
def test_undefined_correlations_are_nan(pair):
    assert math.isnan(pearson(*pair))
    assert math.isnan(spearman(*pair))


@settings(deadline=None)
@given(decisions())
def test_average_precision_is_scikit_learns(case):
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn comes with the reference")
    labels, scores = case
    expected = metrics.average_precision_score(labels, scores) if labels.any() else 0.0
    assert average_precision(labels, scores) == pytest.approx(expected, abs=1e-12)
    # As many again that no score was given to: each of them is missed.
    assert average_precision(labels, scores, 2 * int(labels.sum())) == pytest.approx(expected / 2, abs=1e-12)


@given(decisions(), st.integers(0, 2**30))
def test_matthews_correlation_is_pearsons_of_labels(case, seed):
    labels, _ = case
    predictions = np.random.default_rng(seed).integers(0, 2, len(labels))
    expected = pearson(labels, predictions)
    assert matthews_correlation(labels, predictions) == pytest.approx(
        0.0 if math.isnan(expected) else expected, abs=1e-12
    )


def decided(scores, threshold, larger_is_better):
    return scores >= threshold if larger_is_better else scores <= threshold


def every_threshold(scores):
    """One in each gap, at each score, and beyond both ends."""
    ordered = np.unique(scores.astype(np.float64))
    return np.concatenate([ordered, (ordered[1:] + ordered[:-1]) / 2, [ordered[0] - 1, ordered[-1] + 1]])


@given(decisions(), st.booleans())
def test_no_threshold_is_more_accurate(case, larger_is_better):
    labels, scores = case
    accuracy, threshold = best_accuracy(labels, scores, larger_is_better)
    assert accuracy == np.mean(decided(scores, threshold, larger_is_better) == labels)
    others = [np.mean(decided(scores, t, larger_is_better) == labels) for t in every_threshold(scores)]
    assert accuracy == max(others)


@given(decisions(), st.booleans(), st.integers(0, 3))
def test_no_threshold_has_a_higher_f1(case, larger_is_better, unseen):
    labels, scores = case
    total = int(labels.sum()) + unseen
    best = best_f1(labels, scores, larger_is_better, total)

    def measured(threshold):
        chosen = decided(scores, threshold, larger_is_better)
        hits = int(labels[chosen].sum())
        return (
            (2 * hits / (chosen.sum() + total), hits / max(1, chosen.sum()), hits / total)
            if hits
            else (0.0,) * 3
        )

    assert best.f1 == pytest.approx(max(measured(t)[0] for t in every_threshold(scores)))
    if labels.any():
        assert best[:3] == pytest.approx(measured(best.threshold))
    else:
        assert best == (0, 0, 0, 0)


def test_thresholds_stay_between_neighbouring_floats():
    """The middle of two floats next to each other is one of them; it must not be the wrong one."""
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1), dtype=np.float32)
    for labels, larger_is_better in (([1, 0], True), ([0, 1], False)):
        scores = np.array([high, low])
        for best in (best_accuracy, best_f1):
            threshold = best(labels, scores, larger_is_better).threshold
            assert decided(scores, threshold, larger_is_better).tolist() == [bool(label) for label in labels]
    assert best_accuracy([], []) == (0.0, -1.0)
    assert best_f1([1, 0], [3e38, 2e38]).threshold == pytest.approx(2.5e38)
