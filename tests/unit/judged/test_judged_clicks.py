"""Clicks: planted position bias is found, chance is not taken for an answer, and one person counts once."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from app.facade.caller import Caller
from app.facade.feedback import record
from app.feedback.judged.clicks import LEAST_SESSIONS, _chance_of_more, grade_clicks, grade_views
from app.feedback.judged.examination import Examination, estimate_examination, fit_by_score, harvest
from app.feedback.judged.reading import read_judged
from app.feedback.judged.views import Views, count_sessions, make_views
from app.feedback.model import Event, Impression, Shown
from app.feedback.place import feedback_place
from app.feedback.questions import question_hash
from app.feedback.table import add_rows, write_feedback

QUESTIONS, DOCUMENTS, RANKS = 100, 30, 10
CURVES = {
    "slow": np.arange(1, RANKS + 1) ** -0.5,
    "usual": np.arange(1, RANKS + 1) ** -1.0,
    # what a screen shows at once, and the rest
    "fold": np.array([1, 0.9, 0.8, 0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.15]),
}


def sample(rng, simulate_clicks, curve, sessions, *, servings, random=False):
    """Views of at least `sessions` sessions with a click, one person each. Some questions are asked more
    often than others; the servings rank by different slips of judgment.
    """
    relevance = np.where(rng.random((QUESTIONS, DOCUMENTS)) < 0.15, 0.55, 0.05)
    relevance = rng.uniform(0.6, 1.4, relevance.shape) * relevance
    guess = relevance + rng.normal(0, 0.3, relevance.shape)
    slips = rng.normal(0, 0.25, (servings, QUESTIONS, DOCUMENTS))
    ranked = np.argsort(-(guess + slips), 2)[:, :, :RANKS]
    asked = np.arange(1, QUESTIONS + 1) ** -0.8
    if random:
        relevance = np.full_like(relevance, 0.2)
    shown, clicks, questions = [], [], []
    clicked = 0
    while clicked < sessions:
        question = rng.choice(QUESTIONS, 1000, p=asked / asked.sum())
        lists = ranked[rng.integers(0, servings, 1000), question]
        made = simulate_clicks(rng, lists, relevance[question], curve)
        shown.append(lists)
        clicks.append(made)
        questions.append(np.repeat(question, RANKS))
        clicked += int(made.any(1).sum())
    document, question = np.concatenate(shown).ravel(), np.concatenate(questions)
    names = tuple(map(str, range(QUESTIONS)))
    return Views(
        question,
        document,
        np.tile(np.arange(1, RANKS + 1), len(document) // RANKS),
        np.concatenate(clicks).ravel(),
        relevance[question, document],
        np.zeros(len(document), np.int64),
        names,
        names,
        tuple(map(float, range(QUESTIONS))),
        tuple(map(str, range(DOCUMENTS))),
    )


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize(("find", "servings"), [(harvest, 2), (fit_by_score, 1)])
def test_planted_position_bias_is_found_from_the_stated_sessions_on(simulate_clicks, curve, find, servings):
    rng = np.random.default_rng(7)
    views = sample(rng, simulate_clicks, CURVES[curve], LEAST_SESSIONS, servings=servings)
    found = find(views)
    assert np.abs(found / CURVES[curve] - 1).mean() <= 0.1
    assert np.abs(found - CURVES[curve]).max() <= 0.07


def test_harvesting_asks_for_results_at_several_ranks(simulate_clicks):
    rng = np.random.default_rng(0)
    views = sample(rng, simulate_clicks, CURVES["usual"], 1000, servings=1)
    assert harvest(views) is None
    assert estimate_examination(views).method == "by score"


def test_clicks_that_follow_rank_alone_grade_no_more_than_chance(simulate_clicks):
    """Relevance plays no part: of 100 questions at most one in a hundred may seem to have an answer."""
    graded = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        views = sample(rng, simulate_clicks, CURVES["usual"], LEAST_SESSIONS, servings=2, random=True)
        graded += len(grade_views(views, estimate_examination(views)))
    assert graded <= 20  # of 1,000; .01 each are 10, and more than 20 would happen once in 1,000 times


def test_clicks_find_answers_below_the_top(simulate_clicks):
    """Of what is graded 1 nearly all answers, though the top is clicked most."""
    rng = np.random.default_rng(1)
    views = sample(rng, simulate_clicks, CURVES["usual"], LEAST_SESSIONS, servings=2)
    attraction = {}
    for question, document, score in zip(views.question, views.document, views.score, strict=True):
        attraction[str(question), str(document)] = score
    grades = [
        (attraction[question, document] > 0.2, grade)
        for question, found in grade_views(views, estimate_examination(views)).items()
        for document, grade in found.grades.items()
    ]
    right = [answers for answers, grade in grades if grade == 1]
    wrong = [answers for answers, grade in grades if grade == 0]
    assert len(right) >= 40
    assert sum(right) >= 0.95 * len(right)
    assert len(wrong) >= 20
    assert sum(wrong) <= 0.1 * len(wrong)


def one_question(clicks, shown):
    """Views of one question whose documents were all shown on rank 1, with so many clicks and looks each."""
    document = np.repeat(np.arange(len(clicks)), shown)
    clicked = np.concatenate([np.arange(n) < c for c, n in zip(clicks, shown, strict=True)])
    ones, zeros = np.ones(len(document), np.int64), np.zeros(len(document), np.int64)
    names = tuple(f"d{i}" for i in range(len(clicks)))
    return Views(zeros, document, ones, clicked, zeros * 1.0, zeros, ("q",), ("Q?",), (1.0,), names)


def test_grades_are_those_of_an_exact_test():
    alone = Examination(np.ones(1), "")
    # 8 of 8 clicks on one of two that were looked at alike: 1/256 > .01 / 4; 9 of 9: 1/512 < .01 / 4
    assert grade_views(one_question([8, 0], [20, 20]), alone) == {}
    assert grade_views(one_question([9, 0], [20, 20]), alone)["q"].grades == {"d0": 1, "d1": 0}
    assert grade_views(one_question([9, 0], [40, 5]), alone) == {}  # of nine looks eight are at the first


@pytest.mark.parametrize(
    ("count", "total", "share"), [(3, 5, 0.2), (9, 9, 0.5), (40, 100, 0.3), (1, 900, 1e-4)]
)
def test_chances_are_binomial(count, total, share):
    terms = [math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count, total + 1)]
    assert _chance_of_more(count, total, share) == pytest.approx(math.fsum(terms), rel=1e-8)


def impression(id_, question, shown, *, who="", session="", collection="", at=1.0, serving=1):
    return Impression(
        id=id_,
        collection=collection,
        at=at,
        who=who,
        session=session,
        surface="page",
        query=question,
        query_hash=question_hash(question),
        filter=None,
        mode="hybrid",
        serving=serving,
        trial=None,
        seq=1,
        k=10,
        offset=0,
        reranker=None,
        reranked=None,
        seed="",
        took_ms=1.0,
        hashed=False,
        shown=tuple(Shown(document, rank, 1 / rank) for rank, document in enumerate(shown, 1)),
    )


def click(impression, document):
    return Event(0, impression.collection, impression.id, document, "click", 1.0, impression.who, "s")


def test_a_person_counts_once_however_often_they_click():
    again = [impression(f"i{n}", "Who audits us?", ["a", "b"], who="ann") for n in range(300)]
    later = impression("later", "who audits us", ["b", "a"], who="ann")
    other = impression("other", "who audits us", ["b", "a"], session="nameless")
    events = [click(one, "a") for one in [*again, *again, later]] + [click(other, "b")]
    views = make_views([*again, later, other], events)
    rows = zip(views.document, views.rank, views.clicked, strict=True)
    assert [(views.documents[d], int(rank), bool(clicked)) for d, rank, clicked in rows] == [
        ("a", 1, True),
        ("b", 2, False),
        ("b", 1, True),
        ("a", 2, False),
    ]
    assert views.texts == ("Who audits us?",)


def test_a_folded_result_was_looked_at_only_if_it_was_clicked():
    seen = impression("i", "Who audits us?", ["a", "b", "c", "d"])
    seen = replace(seen, shown=tuple(replace(one, folded=one.document in "bd") for one in seen.shown))
    views = make_views([seen], [click(seen, "d")])
    rows = zip(views.document, views.rank, views.clicked, strict=True)
    assert [(views.documents[d], int(rank), bool(clicked)) for d, rank, clicked in rows] == [
        ("a", 1, False),
        ("c", 2, False),
        ("d", 4, True),
    ]


def test_below_the_stated_sessions_clicks_grade_nothing(location, collection):
    place, uuid = feedback_place(location), collection.uuid
    asked = [
        impression(f"i{n}-{m}", f"question {m}", ["d0", "d1"], who=f"p{n}", collection=uuid)
        for n in range(40)
        for m in range(2)
    ]
    with write_feedback(place) as connection:
        add_rows(connection, asked)
        add_rows(connection, [click(one, "d1") for one in asked if one.who != "p0"])
    assert count_sessions(place, uuid) == 39 * 2
    assert grade_clicks(place, uuid).questions == {}
    judged = read_judged(location, collection)
    assert judged.questions == ()
    assert not judged.clicks_used
    assert judged.notes == (
        "Clicks of 78 sessions only fill the labelling queue: they count from 5000 on, and where"
        " enough fell on several ranks.",
    )


def test_what_was_said_counts_more_than_clicks(location, collection, monkeypatch):
    place, uuid = feedback_place(location), collection.uuid
    lists = (["d0", "d1", "d2"], ["d1", "d2", "d0"], ["d2", "d0", "d1"])
    asked = [
        impression(f"i{n}", "question", lists[n % 3], who=f"p{n}", collection=uuid, serving=n % 3)
        for n in range(150)
    ]
    with write_feedback(place) as connection:
        add_rows(connection, asked)
        add_rows(connection, [click(one, "d1") for one in asked])
    monkeypatch.setattr("app.feedback.judged.clicks.grade_clicks.__defaults__", (100,))
    (question,) = read_judged(location, collection).questions
    assert (question.grades, question.clicked, question.people) == (
        {"d0": 0, "d1": 1, "d2": 0},
        {"d0", "d1", "d2"},
        0,
    )
    assert question.returning
    record(Caller("ann"), location, collection, "question", "d1", "down")
    record(Caller("ann"), location, collection, "question", "d2", "answer")
    judged = read_judged(location, collection)
    (question,) = judged.questions
    assert (question.grades, question.clicked) == ({"d0": 0, "d1": 0, "d2": 3}, {"d0"})
    assert judged.clicks_used
    assert read_judged(location, collection, clicks="off").questions[0].grades == {"d1": 0, "d2": 3}
