"""How often a cross-fitted test calls better what is not.

What can be learned are d directions, of which none is of any use: the differences of a question in each are
drawn around 0, many of them 0, as those of NDCG are. A lever takes the best direction, or the mean of all, of
the questions it learns from, so that what is by chance good for some is tested on the others.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from app.statistics.randomisation import paired_randomisation
from app.tuning.gate.test import assign_folds, cross_fit_inflation


def take_best(learned):
    return np.eye(learned.shape[1])[learned.mean(0).argmax()]


def take_mean(learned):
    mean = learned.mean(0)
    return mean / np.linalg.norm(mean)


def if_it_helps(fit):
    """Off, unless cross-validation finds a gain above its standard error."""

    def fit_or_not(learned):
        parts = np.arange(len(learned)) % 4
        gains = np.empty(len(learned))
        for part in range(4):
            gains[parts == part] = learned[parts == part] @ fit(learned[parts != part])
        helps = gains.mean() > gains.std(ddof=1) / math.sqrt(len(gains))
        return fit(learned) if helps else np.zeros(learned.shape[1])

    return fit_or_not


def false_claims(fit, questions, directions, runs, inflation, alpha=0.05):
    generator = np.random.default_rng(questions + directions)
    assigned = assign_folds({str(at): str(at) for at in range(questions)})
    folds = np.asarray([assigned[str(at)] for at in range(questions)])
    claims = 0
    for seed in range(runs):
        each = generator.normal(0, 1, (questions, directions))
        each[generator.random(each.shape) < 0.4] = 0
        differences = np.empty(questions)
        for fold in range(5):
            differences[folds == fold] = each[folds == fold] @ fit(each[folds != fold])
        claims += paired_randomisation(differences, draws=1_000, seed=seed, inflation=inflation) <= alpha
    return claims / runs


@pytest.mark.parametrize("directions", [1, 5, 20])
@pytest.mark.parametrize("fit", [take_best, take_mean])
@pytest.mark.parametrize("questions", [40, 190])
def test_false_claims_stay_near_alpha(fit, questions, directions, runs_of):
    runs = runs_of(200, 2_000)
    most = 0.065 + 2 * math.sqrt(0.05 * 0.95 / runs)
    assert false_claims(fit, questions, directions, runs, cross_fit_inflation()) <= most


@pytest.mark.parametrize("fit", [take_best, take_mean])
def test_levers_that_may_be_off_claim_less(fit, runs_of):
    runs = runs_of(100, 1_000)
    assert false_claims(if_it_helps(fit), 100, 5, runs, cross_fit_inflation()) <= 0.05


def test_without_the_correction_claims_are_too_many(runs_of):
    """Why it is there."""
    assert false_claims(take_best, 190, 20, runs_of(200, 2_000), 1.0) >= 0.09
