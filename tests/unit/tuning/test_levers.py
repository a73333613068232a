"""Levers: what they compare in memory is what the index answers, and they keep only what helps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from app.tuning.auto import AUTO, fit_levers
from app.tuning.data import CUT, make_data, make_memory
from app.tuning.legs import View, make_view
from app.tuning.levers import judge_gains
from app.tuning.threshold import choose_threshold
from indexing import Collection
from indexing.search.fuse import LegScores, shares
from indexing.search.legs.base import Scale
from indexing.search.settings import Boost, Head, SearchSettings
from tests.toy_terms import ToyTerms

TOPICS = ("bicycles", "violins", "carpets", "telescopes", "tents", "kayaks", "teapots", "clocks")
FORMS = (
    "how do I choose {}",
    "{} for beginners",
    "the long history of {}",
    "what would new {} cost",
    "repairing broken {} at home",
    "where people sell used {}",
)


@dataclass(frozen=True)
class Asked:
    id: str
    text: str
    grades: dict[str, int]


def documents():
    """No right answer has a word of its questions: only judgments can tell."""
    about = [
        {"id": f"{topic}-{i}", "title": topic, "text": f"{topic} and {other}, number {i}"}
        for topic in TOPICS
        for i, other in enumerate(TOPICS)
    ]
    right = [
        {"id": f"form-{at}", "title": "form", "text": f"page {at} of the ledger, signed by the clerk"}
        for at in range(len(TOPICS))
    ]
    return [*about, *right]


def questions():
    """The right answer of each topic is its form."""
    return [
        Asked(f"q{at:02d}{place}", form.format(topic), {f"form-{at}": 2, f"{topic}-{at}": 1})
        for at, topic in enumerate(TOPICS)
        for place, form in enumerate(FORMS)
    ]


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    with Collection.create("topics", home=tmp_path_factory.mktemp("levers")) as made:
        made.add(documents())
        yield made


@pytest.fixture(scope="module")
def data(collection):
    with collection.probe() as probe:
        yield make_data(probe, questions())


def turned(data, strength=0.3):
    rng = np.random.default_rng(3)
    d = data.vectors.shape[1]
    return Head((np.eye(d) + strength * rng.normal(size=(d, d)) / np.sqrt(d)).astype(np.float32))


def ids_in_memory(data, view, settings, row):
    scores = view.scores(settings)[row]
    order = np.argsort(-scores.astype(np.float32), kind="stable")
    ids = list(data.documents[int(view.positions[row])])
    return [ids[at] for at in order if np.isfinite(scores[at])][:CUT]


SETTINGS = {
    "plain": SearchSettings(),
    "weights": SearchSettings(weights={"keyword": 0.3, "semantic": 1.7}),
    "features": SearchSettings(features={"title": 1.5, "naming": -0.5, "length": 0.7}),
}


@pytest.mark.parametrize("name", [*SETTINGS, "head", "memory", "all"])
def test_in_memory_is_what_the_index_answers(data, collection, name):
    everything = np.arange(len(data.questions))
    settings = SETTINGS.get(name, SETTINGS["features"] if name == "all" else SearchSettings())
    vectors, recalled = data.vectors, None
    if name in ("head", "all"):
        settings = replace(settings, head=turned(data))
    if name in ("memory", "all"):
        memory = make_memory(data, everything[::2], 0.5, 10)
        settings = replace(settings, memory=memory, weights={"memory": 6.0})
        recalled = [memory.recall(vector) for vector in vectors]
    view = View(data, everything, data.semantic, data.semantic_scale)
    if settings.head is not None:
        view = view.with_vectors(settings.head(vectors))
    if recalled is not None:
        view = view.with_worth(recalled)
    serving = collection.create_serving(settings, note=name)
    asked = {str(row): data.questions[row].text for row in range(0, len(everything), 5)}
    found = collection.rankings(asked, serving=serving.id, depth=CUT)
    assert found == {row: ids_in_memory(data, view, settings, int(row)) for row in asked}


def test_shares_of_many_questions_are_those_of_a_search(data):
    everything = np.arange(len(data.questions))
    rng = np.random.default_rng(1)
    worth = np.where(rng.random(data.real.shape) < 0.05, rng.random(data.real.shape) * 30, 0)
    view = View(data, everything, data.semantic, data.semantic_scale, worth.astype(np.float32))
    for at in (0, 17, 40):
        kept = view.allowed[at]
        legs = [
            LegScores("semantic", "similarity", data.semantic[at][kept], Scale(*data.semantic_scale[at])),
            LegScores("keyword", "frequency", data.words[at][kept], Scale(*data.words_scale[at])),
            LegScores("memory", "frequency", view.worth[at][kept], Scale(0.0, 1.0)),
        ]
        for leg, row in zip(legs, shares(legs), strict=True):
            np.testing.assert_allclose(view.shares[leg.name][at][kept], row, rtol=1e-6, atol=1e-9)


@pytest.fixture(scope="module")
def three_legs(tmp_path_factory):
    with Collection.create("three", home=tmp_path_factory.mktemp("levers"), sparse=ToyTerms()) as made:
        made.add(documents())
        yield made


@pytest.mark.parametrize("weights", [{}, {"sparse": 3.0, "keyword": 0.5}, {"sparse": 0.0}])
def test_a_third_leg_in_memory_is_what_the_index_answers(three_legs, weights):
    settings = SearchSettings(weights=weights)
    with three_legs.probe() as probe:
        data = make_data(probe, questions())
    everything = np.arange(len(data.questions))
    view = View(data, everything, data.semantic, data.semantic_scale)
    assert set(view.shares) == {"semantic", "keyword", "sparse"}
    serving = three_legs.create_serving(settings, note="weights")
    asked = {str(row): data.questions[row].text for row in range(0, len(everything), 5)}
    found = three_legs.rankings(asked, serving=serving.id, depth=CUT)
    assert found == {row: ids_in_memory(data, view, settings, int(row)) for row in asked}


def test_scales_of_many_vectors_are_those_of_each(data):
    expected = [data.probe.readers.vectors.statistics(vector) for vector in data.vectors[:5]]
    np.testing.assert_allclose(data.probe.spreads(data.vectors[:5]), expected, rtol=1e-5)


def test_boosts_are_kept(collection):
    boosted = SearchSettings(boosts=(Boost("kind = 'x'", 2.0),))
    serving = collection.create_serving(boosted, note="boost", needs_gate=False)
    with collection.probe(serving.id) as probe:
        data = make_data(probe, questions()[:12])
        settings, _ = fit_levers(data, np.arange(12), ("memory",), probe.settings)
    assert settings.boosts == boosted.boosts


def test_memory_finds_what_only_judgments_tell(data):
    everything = np.arange(len(data.questions))
    train, test = everything[everything % 6 < 4], everything[everything % 6 >= 4]
    settings, done = fit_levers(data, train, ("memory",), SearchSettings())
    assert [one.lever for one in done] == ["memory"]
    before = make_view(data, test, SearchSettings()).ndcg(SearchSettings())
    after = make_view(data, test, settings).ndcg(settings)
    assert after.mean() > before.mean() + 0.2
    assert len(settings.memory.answers) == len(train)


def test_the_same_judgments_make_the_same_settings(data, collection):
    everything = np.arange(len(data.questions))
    first, _ = fit_levers(data, everything, AUTO, SearchSettings())
    with collection.probe() as probe:
        again = make_data(probe, list(reversed(questions())))
    second, _ = fit_levers(again, everything, AUTO, SearchSettings())
    assert first.ranking() == second.ranking()
    assert (first.head is None) == (second.head is None)
    if first.head is not None:
        np.testing.assert_array_equal(first.head.matrix, second.head.matrix)
    np.testing.assert_array_equal(first.memory.vectors, second.memory.vectors)
    assert first.memory.answers == second.memory.answers


def test_random_judgments_teach_little(collection):
    rng = np.random.default_rng(0)
    ids = [one["id"] for one in documents()]
    shuffled = [Asked(one.id, one.text, {str(rng.choice(ids)): 1}) for one in questions()]
    kept = []
    with collection.probe() as probe:
        data = make_data(probe, shuffled)
    for half in (np.arange(0, 48, 2), np.arange(1, 48, 2)):
        _, done = fit_levers(data, half, AUTO, SearchSettings())
        kept += [one.lever for one in done]
    assert len(kept) <= 1


def test_few_questions_change_nothing(data):
    settings, done = fit_levers(data, np.arange(9), AUTO, SearchSettings())
    assert done == [] and settings.memory is None and settings.head is None


def test_questions_in_other_words_are_in_one_fold(collection):
    twice = [*questions(), *(Asked(f"{one.id}x", f"{one.text}?", one.grades) for one in questions())]
    with collection.probe() as probe:
        data = make_data(probe, twice)
    fold = {one.id: int(data.folds[at]) for at, one in enumerate(data.questions)}
    assert all(fold[one.id] == fold[f"{one.id}x"] for one in questions())


def test_gains_are_judged_by_their_error():
    report = judge_gains(np.asarray([0.1, 0.3, 0.2]), {})
    assert report.gain == pytest.approx(0.2)
    assert report.error == pytest.approx(0.1 / np.sqrt(3))
    assert report.sure == pytest.approx(0.2 - 0.1 / np.sqrt(3))


def test_a_threshold_parts_right_answers_from_wrong_ones():
    right, wrong = np.arange(10.0, 30.0), np.concatenate([np.arange(0.0, 10.0), [15.0, 20.0]])
    assert choose_threshold(right, wrong) == 10.0
    assert choose_threshold(right, right) is None  # they are alike
    assert choose_threshold(right, wrong[:9]) is None  # there are too few
