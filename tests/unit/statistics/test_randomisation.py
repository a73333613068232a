"""p against trying every pattern, against SciPy, and how often it is wrong."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from app.statistics.randomisation import paired_randomisation


def enumerate_p(values, alternative):
    signs = {
        "greater": lambda m, s: m >= s,
        "less": lambda m, s: m <= s,
        "two-sided": lambda m, s: abs(m) >= abs(s),
    }
    seen = sum(values)
    reached = [
        signs[alternative](round(sum(s * v for s, v in zip(pattern, values, strict=True)), 9), round(seen, 9))
        for pattern in product((1, -1), repeat=len(values))
    ]
    return sum(reached) / len(reached)


@pytest.mark.parametrize("n", range(1, 13))
@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_p_equals_enumeration(n, alternative):
    generator = np.random.default_rng(n)
    # of few different values, so that means are equal often, and some are 0
    values = generator.integers(-3, 5, n) / 7
    expected = enumerate_p(values.tolist(), alternative)
    assert paired_randomisation(values, alternative) == pytest.approx(expected, abs=1e-12)


def test_sampled_p_is_near_the_exact_one():
    values = np.random.default_rng(5).normal(0.1, 0.3, 16)
    exact = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", alternative="greater", n_resamples=np.inf
    ).pvalue
    assert paired_randomisation(values) == pytest.approx(exact, abs=0.004)
    assert paired_randomisation(values) == paired_randomisation(values)  # a report can be made again


def test_p_is_never_zero_and_one_without_a_difference():
    assert paired_randomisation(np.full(100, 0.5), draws=999) == 1 / 1000
    assert paired_randomisation(np.zeros(50)) == 1.0
    assert paired_randomisation(np.array([])) == 1.0


def test_more_than_sixty_four_questions_have_independent_signs():
    values = np.random.default_rng(7).normal(0.02, 0.2, 300)
    expected = stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert paired_randomisation(values) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("n", [20, 40, 150])
def test_false_positives_over_2000_shuffles(n):
    """Differences as NDCG has them, many of them 0, each with a random sign."""
    generator = np.random.default_rng(n)
    sizes = np.where(generator.random(n) < 0.4, 0.0, generator.beta(1, 3, n))
    found = [
        paired_randomisation(sizes * generator.choice((-1, 1), n), draws=2_000, seed=seed) <= 0.05
        for seed in range(2_000)
    ]
    assert abs(np.mean(found) - 0.05) <= 0.015


@pytest.mark.parametrize("wrong", ["larger", ""])
def test_an_unknown_alternative_is_refused(wrong):
    with pytest.raises(ValueError, match="greater, less, two-sided"):
        paired_randomisation(np.ones(3), wrong)


def test_a_difference_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        paired_randomisation(np.array([1.0, np.nan]))
