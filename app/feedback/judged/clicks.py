"""Grades from clicks, where nobody said anything: only from many sessions, and rid of what the rank did.

A click says that a result was looked at and attracted, and what stands on top is looked at most. So a
document's clicks are compared with the looks it must have had, by `app.feedback.judged.examination`, and with
the other documents of the same question. Only what could hardly be chance is graded, never higher than by a
thumb. What was only clicked goes to the labelling queue.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from app.feedback.judged.examination import Examination, estimate_examination
from app.feedback.judged.views import Views, count_sessions, read_views
from app.feedback.model import GRADES
from app.feedback.place import FeedbackPlace

__all__ = ["LEAST_SESSIONS", "ClickGrades", "ClickedQuestion", "grade_clicks", "grade_views"]

LEAST_SESSIONS = 5_000
"""Sessions with a click before any click counts, a session being one person's search for one question. From
there on a simulated examination of ten ranks is found with a mean error of 3 to 7 % (of ten draws one up to
13 %), and no rank is off by more than a tenth of the first; with 2,000 there mostly are too few clicks on the
last ranks to tell (`tests/benchmarks/bench_clicks.py`). What few clicks teach is often worse than nothing.
"""

LEAST_PEOPLE = 3
"""Who clicked a document before it can be called an answer."""

_CHANCE = 0.01  # that a question whose documents attract all alike gets a grade


@dataclass(frozen=True)
class ClickedQuestion:
    """Grades that clicks gave: document → 1 or 0."""

    id: str
    text: str
    first: float
    grades: dict[str, int]


@dataclass(frozen=True)
class ClickGrades:
    """What clicks say of a collection.

    Attributes:
        sessions: with a click.
        examination: None where clicks are too few to count.
        questions: by id, those with a grade.
    """

    sessions: int = 0
    examination: Examination | None = None
    questions: dict[str, ClickedQuestion] = field(default_factory=dict)


def grade_clicks(place: FeedbackPlace, collection: str, least: int = LEAST_SESSIONS) -> ClickGrades:
    """The grades from clicks in a collection (its uuid); none below `least` sessions.

    Raises:
        StorageError: the database is damaged.
    """
    sessions = count_sessions(place, collection)
    if sessions < least:
        return ClickGrades(sessions)
    views = read_views(place, collection)
    examination = estimate_examination(views)
    if examination is None:
        return ClickGrades(sessions)
    return ClickGrades(sessions, examination, grade_views(views, examination))


def grade_views(views: Views, examination: Examination) -> dict[str, ClickedQuestion]:
    """Question id → what clicks say of its documents.

    If all documents of a question attracted alike, each of its clicks would fall on a document with the
    probability of that one's share of the looks (Przyborowski and Wilenski, "Homogeneity of results in
    testing samples from Poisson series", Biometrika 1940). A document with so many clicks that this is no
    chance is graded 1, one with so few 0; the level is shared by all documents of the question.
    """
    used = views.rank <= len(examination.ranks)
    looks = examination.ranks[views.rank[used] - 1]
    keys = views.question[used] * max(1, len(views.documents)) + views.document[used]
    pairs, pair = np.unique(keys, return_inverse=True)
    looks = np.bincount(pair.reshape(-1), looks, len(pairs))
    clicks = np.bincount(pair.reshape(-1), views.clicked[used], len(pairs)).astype(np.int64)
    question, document = np.divmod(pairs, max(1, len(views.documents)))
    found = {}
    for one in _slices(question):
        grades = _grade(clicks[one], looks[one])
        if grades:
            at = int(question[one.start])
            named = {views.documents[document[one.start + i]]: grade for i, grade in grades.items()}
            found[views.questions[at]] = ClickedQuestion(
                views.questions[at], views.texts[at], views.first[at], named
            )
    return found


def _slices(ordered: np.ndarray) -> Iterator[slice]:
    """Where equal values stand together."""
    starts = np.flatnonzero(np.diff(ordered, prepend=-1)).tolist()
    yield from map(slice, starts, [*starts[1:], len(ordered)])


def _grade(clicks: np.ndarray, looks: np.ndarray) -> dict[int, int]:
    """Position → grade of the documents of one question."""
    total, level = int(clicks.sum()), _CHANCE / len(clicks)
    grades: dict[int, int] = {}
    if total < LEAST_PEOPLE or len(clicks) < 2:
        return grades
    for at, (count, share) in enumerate(zip(clicks.tolist(), (looks / looks.sum()).tolist(), strict=True)):
        if count >= LEAST_PEOPLE and _chance_of_more(count, total, share) <= level / 2:
            grades[at] = GRADES["up"]
        elif _chance_of_more(total - count, total, 1 - share) <= level / 2:
            grades[at] = GRADES["down"]
    return grades


def _chance_of_more(count: int, total: int, share: float) -> float:
    """P(X ≥ count) of X ~ Binomial(total, share); 1 where that is no more than to be expected."""
    if count <= total * share or not 0 < share < 1:
        return 1.0
    chance = 0.0
    for more in range(count, total + 1):  # from above the mean on, so that each term is less than the last
        ways = math.lgamma(total + 1) - math.lgamma(more + 1) - math.lgamma(total - more + 1)
        term = math.exp(ways + more * math.log(share) + (total - more) * math.log1p(-share))
        chance += term
        if term < 1e-9 * chance or term == 0:
            break
    return chance
