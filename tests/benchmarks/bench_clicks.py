"""How many sessions with a click it takes to find planted position bias: the error of both ways by sessions.

python tests/benchmarks/bench_clicks.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from app.feedback.judged.examination import fit_by_score, harvest
from tests.unit.judged.test_judged_clicks import CURVES, sample

SESSIONS = (1_000, 2_000, 5_000, 10_000)
SEEDS = 10


def simulate(rng, lists, relevance, propensities):
    looked = rng.random(lists.shape) < propensities
    return looked & (rng.random(lists.shape) < np.take_along_axis(relevance, lists, 1))


def main():
    print(f"relative error, mean of ten ranks (worst of {SEEDS} draws); largest error in parts of rank 1")
    for name, curve in CURVES.items():
        for find, servings in ((harvest, 2), (fit_by_score, 1)):
            for sessions in SESSIONS:
                draws = [
                    find(sample(np.random.default_rng(seed), simulate, curve, sessions, servings=servings))
                    for seed in range(SEEDS)
                ]
                full = np.array([one for one in draws if one is not None and len(one) == len(curve)])
                if not len(full):
                    print(f"{name:6} {find.__name__:12} {sessions:6}: too few clicks on the last ranks")
                    continue
                errors = np.abs(full / curve - 1).mean(1)
                most = np.abs(full - curve).max()
                print(
                    f"{name:6} {find.__name__:12} {sessions:6}: {errors.mean():.3f} ({errors.max():.3f});"
                    f" {most:.3f}; ten ranks in {len(full)} of {SEEDS}"
                )


if __name__ == "__main__":
    main()
