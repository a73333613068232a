"""Intervals, power and corrections beside SciPy, by hand, and by how often they are right."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from app.statistics.distributions import normal_quantile, t_quantile
from app.statistics.intervals import bootstrap_interval, lower_bound, mean_interval
from app.statistics.multiple import alpha_of_look, holm
from app.statistics.power import smallest_detectable
from app.statistics.randomisation import paired_randomisation


@pytest.mark.parametrize("freedom", [1, 2, 5, 30, 400, 20_000])
@pytest.mark.parametrize("share", [0.001, 0.2, 0.5, 0.6, 0.95, 0.975, 0.9995])
def test_quantiles_of_t(share, freedom):
    assert t_quantile(share, freedom) == pytest.approx(stats.t.ppf(share, freedom), abs=1e-8)


def test_quantiles_of_the_normal_distribution():
    assert normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)


def test_t_intervals():
    values = np.random.default_rng(3).normal(0.1, 1, 25)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert mean_interval(values, 0.9) == pytest.approx(tuple(expected))
    one_sided = stats.ttest_1samp(values, 0, alternative="greater").confidence_interval(0.95)
    assert lower_bound(values) == pytest.approx(one_sided.low)
    assert mean_interval(np.array([1.0])) == (-math.inf, math.inf)
    assert lower_bound(np.array([])) == -math.inf


def test_bootstrap_intervals_are_those_of_scipy():
    values = np.random.default_rng(4).exponential(1, 40)
    expected = stats.bootstrap(
        (values,), np.mean, method="BCa", n_resamples=20_000, rng=1
    ).confidence_interval
    assert bootstrap_interval(values, draws=20_000) == pytest.approx(tuple(expected), abs=0.02)
    assert bootstrap_interval(np.full(9, 0.25)) == (0.25, 0.25)
    assert bootstrap_interval(np.array([1.0])) == (-math.inf, math.inf)


def test_bootstrap_intervals_hold_the_mean():
    generator = np.random.default_rng(6)
    held = 0
    for seed in range(300):
        low, high = bootstrap_interval(generator.exponential(1, 50), draws=1_000, seed=seed)
        held += low <= 1 <= high
    assert 0.90 <= held / 300 <= 0.98


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_alpha_of_looks():
    assert alpha_of_look(1) == pytest.approx(0.0303964, abs=1e-7)
    assert alpha_of_look(2) == pytest.approx(0.0303964 / 4, abs=1e-7)
    assert sum(map(alpha_of_look, range(1, 100_000))) == pytest.approx(0.05, abs=1e-6)
    with pytest.raises(ValueError, match="the first is 1"):
        alpha_of_look(0)


def test_ten_looks_make_a_false_claim_in_at_most_alpha_of_all_cases():
    """The worst case: each look at other numbers, independent of those before, and none has any effect."""
    generator = np.random.default_rng(8)
    claims = 0
    for seed in range(1_000):
        claims += any(
            paired_randomisation(generator.normal(0, 1, 30), draws=1_500, seed=seed) <= alpha_of_look(look)
            for look in range(1, 11)
        )
    assert claims / 1_000 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 1_000)


def test_a_gain_of_the_smallest_detectable_size_is_found_in_eight_of_ten_cases():
    generator = np.random.default_rng(9)
    gain = smallest_detectable(generator.normal(0, 0.2, 10_000)) * math.sqrt(10_000 / 80)  # of 80 questions
    found = [
        paired_randomisation(generator.normal(gain, 0.2, 80), draws=1_000, seed=seed) <= 0.05
        for seed in range(500)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
    assert smallest_detectable(np.array([0.1])) == math.inf
