"""Answers that nobody judged are not wrong answers.

What is live was looked at when people judged, and a candidate was not: its new answers tend to be unjudged,
and count as wrong. Judged@10 of both shows how far (Sakai and Kando, "On Information Retrieval Metrics
Designed for Evaluation with Incomplete Relevance Assessments", 2008). How much could hide there is bounded by
letting them all speak for one side, each with the grade that is usual for its question: a document counts as
an answer where the candidate has it higher, and as none where what is live has it higher; or the reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low

import numpy as np

from app.tuning.gate.test import DEPTH, Answers
from indexing.evaluation import query_metrics

__all__ = ["GAP", "Pair", "bounds", "judged_share", "pairs_of", "turning"]

GAP = 0.03
"""Judged@10 of both must differ by so much, about one document in three answers, before unjudged ones can
make a verdict undecided: with judgments as few as feedback brings the bounds alone would turn every one.
"""


@dataclass(frozen=True)
class Pair:
    """A document that nobody judged for the question at `at`, and what a judgment of it could change."""

    at: int
    document: str
    effect: float


def judged_share(rankings: Iterable[tuple[Sequence[str], Mapping[str, int]]]) -> float:
    """The share of the best ten, over all questions, that has a grade."""
    shares = [sum(id_ in grades for id_ in ranking[:DEPTH]) / DEPTH for ranking, grades in rankings]
    return float(np.mean(shares)) if shares else 0.0


def bounds(answers: Sequence[Answers], *, best: bool) -> np.ndarray:
    """Differences of NDCG@10, float [n], if what nobody judged speaks for the candidate, or against it."""
    return np.asarray([_difference(one, _unjudged(one, best=best)) for one in answers])


def pairs_of(answers: Sequence[Answers], *, best: bool) -> list[Pair]:
    """Documents to judge, those first of which one judgment moves the difference most in that direction."""
    found = []
    for at, one in enumerate(answers):
        now = _difference(one, [])
        for document in _unjudged(one, best=best):
            effect = _difference(one, [document]) - now
            found.append(Pair(at, document, effect if best else -effect))
    return sorted((pair for pair in found if pair.effect > 0), key=lambda pair: -pair.effect)


def turning(
    answers: Sequence[Answers], pairs: Sequence[Pair], turns: Callable[[np.ndarray], bool]
) -> list[Pair]:
    """The fewest of `pairs`, from the first on, that turn the verdict if all of them are answers; `turns`
    says whether differences do. Empty if not even all of them do.
    """
    if not pairs or not turns(_with(answers, pairs)):
        return []
    low, high = 0, len(pairs)  # not enough, enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if turns(_with(answers, pairs[:middle])) else (middle, high)
    return list(pairs[:high])


def _with(answers: Sequence[Answers], pairs: Sequence[Pair]) -> np.ndarray:
    extra: dict[int, list[str]] = {}
    for pair in pairs:
        extra.setdefault(pair.at, []).append(pair.document)
    return np.asarray([_difference(one, extra.get(at, [])) for at, one in enumerate(answers)])


def _unjudged(one: Answers, *, best: bool) -> list[str]:
    """Documents without a grade that stand higher after (`best`) or before."""
    higher, other = (one.after, one.before) if best else (one.before, one.after)
    place = {id_: rank for rank, id_ in enumerate(other[:DEPTH])}
    return [
        id_
        for rank, id_ in enumerate(higher[:DEPTH])
        if id_ not in one.question.grades and rank < place.get(id_, DEPTH)
    ]


def _difference(one: Answers, answering: Sequence[str]) -> float:
    """Of NDCG@10 if the documents `answering` had the question's usual grade."""
    grades: Mapping[str, int] = one.question.grades
    if answering:
        usual = median_low(grade for grade in grades.values() if grade > 0)
        grades = {**grades, **dict.fromkeys(answering, usual)}
    after, before = query_metrics(one.after, grades), query_metrics(one.before, grades)
    return after["NDCG@10"] - before["NDCG@10"]
