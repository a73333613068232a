"""The candidate against what is live, question by question.

Cross-fitting: with few judged questions a held-out side of its own would leave too little to learn from and
too little to test with. So the questions are parted into folds; those of each fold are answered by what the
same lever learns from the others, and the test is over all of them. It is a test of the lever with this much
feedback; the candidate itself has learned from more than any of its folds.

The differences of two questions are then not independent, as each was answered by what was learned from the
other: a chance that helps one way helps the other way too. A lever that always finds something, of no use at
all, would be called better in up to 14 of 100 cases instead of 5 (measured by
`tests/unit/gate/test_gate_errors.py`, 40 to 190 questions, 1 to 20 things to choose from). So the variance of
the mean is taken 1 + k / (k - 1) times as large, for k folds: Nadeau and Bengio, "Inference for the
Generalization Error" (Machine Learning, 2003), with a test part of 1/(k - 1) of what was learned from. Then
it is 0.3 to 6 of 100, and 2 for levers that are off where their own cross-validation finds no gain. The
price is that a gain must be 1.5 times as large to be seen; a held-out third would need it 1.7 times as large,
with less to learn from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.feedback.judged import Question
from app.statistics.distributions import finite
from app.statistics.intervals import mean_interval
from app.statistics.multiple import ALPHA
from app.statistics.power import smallest_detectable
from app.tuning.gate.model import MetricChange
from indexing.evaluation import query_metrics

__all__ = [
    "DEPTH",
    "FOLDS",
    "METRICS",
    "Answers",
    "Rank",
    "Refit",
    "assign_folds",
    "change_of",
    "cross_fit",
    "cross_fit_inflation",
]

METRICS = ("NDCG@10", "MRR@10", "Recall@10")
DEPTH = 10
FOLDS = 5

Rank = Callable[[Question], Sequence[str]]
"""Ids of the best ten documents for a question, best first."""

Refit = Callable[[list[Question]], Rank | None]
"""Learns from questions; None where nothing helps, so that what is live answers."""


@dataclass(frozen=True)
class Answers:
    """The best ten of both servings for a question."""

    question: Question
    before: tuple[str, ...]
    after: tuple[str, ...]

    def metrics(self) -> tuple[dict[str, float], dict[str, float]]:
        """Of `METRICS`, before and after."""
        grades = self.question.grades
        return query_metrics(self.before, grades), query_metrics(self.after, grades)


def cross_fit_inflation(folds: int = FOLDS) -> float:
    """How many times the variance of a cross-fitted mean is that of independent differences, see above."""
    return 1 + folds / (folds - 1)


def change_of(
    before: np.ndarray, after: np.ndarray, alpha: float = ALPHA, inflation: float = 1.0
) -> MetricChange:
    """The change of one metric over n questions, both float [n]."""
    differences = after - before
    low, high = mean_interval(differences, inflation=inflation)
    return MetricChange(
        len(differences),
        float(before.mean()),
        float(after.mean()),
        float(differences.mean()),
        finite(low),
        finite(high),
        finite(smallest_detectable(differences, alpha, inflation=inflation)),
    )


def assign_folds(clusters: Mapping[str, str], folds: int = FOLDS) -> dict[str, int]:
    """Question id → fold, from question id → cluster: a cluster stays in one fold.

    The order is that of hashes, so that it depends on nothing but the ids; the largest cluster goes first,
    each into the fold that has the fewest questions.
    """
    members: dict[str, list[str]] = {}
    for question, cluster in clusters.items():
        members.setdefault(cluster, []).append(question)
    sizes = [0] * folds
    assigned: dict[str, int] = {}
    for _, questions in sorted(members.items(), key=lambda one: (-len(one[1]), _hash(min(one[1])))):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(questions)
        assigned.update(dict.fromkeys(questions, fold))
    return assigned


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def cross_fit(
    questions: Sequence[Question],
    tested: Sequence[Question],
    fold_of: Mapping[str, int],
    refit: Refit,
    before: Mapping[str, Sequence[str]],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, list[str]]:
    """Question id → the best ten by what was learned from the other folds of `questions`, for all of
    `tested`. `before` are the answers of what is live.
    """
    answers: dict[str, list[str]] = {}
    used = sorted({fold_of[one.id] for one in tested})
    for done, fold in enumerate(used):
        rank = refit([one for one in questions if fold_of[one.id] != fold])
        for one in tested:
            if fold_of[one.id] == fold:
                answers[one.id] = list(before[one.id] if rank is None else rank(one))[:DEPTH]
        if progress is not None:
            progress(done + 1, len(used))
    return answers
