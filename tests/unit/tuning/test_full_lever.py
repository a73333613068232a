"""A model learns on from judgments, and the collection is embedded anew with it, beside the live one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from app.settings import Location
from app.tuning.data import make_data
from app.tuning.levers.full import FullLever
from app.tuning.trained import bi_encoder
from app.tuning.trained.candidates import drop_unused_models, make_candidate, models_folder, rank_with
from indexing import Collection
from indexing.errors import BadInput

pytestmark = pytest.mark.slow

PAIRS = {
    "moggy": "cats and their kittens sleep on warm roofs",
    "pooch": "dogs guard the house and bark at strangers",
    "gaffer": "the manager decides what the team plays",
    "brolly": "umbrellas keep the rain off in bad weather",
    "telly": "television shows news and films at night",
    "quid": "pounds are money of the united kingdom",
    "cuppa": "tea with milk is drunk in the afternoon",
    "loo": "toilets of trains are cleaned every day",
    "lorry": "trucks carry heavy goods over long roads",
    "spud": "potatoes grow below the ground in rows",
}


@pytest.fixture
def collection(tmp_path):
    with Collection.create("words", home=tmp_path) as made:
        made.add({"id": word, "text": text} for word, text in PAIRS.items())
        made.add({"id": f"other-{n}", "text": f"a page about the subject number {n}"} for n in range(20))
        yield made


def questions():
    """Each word is asked for in several ways: what is learned of one serves the others."""
    return [
        SimpleNamespace(id=f"{word}{number}", text=text.format(word), grades={word: 1})
        for word in PAIRS
        for number, text in enumerate(("{}", "what of a {}", "my {}", "the {} please"))
    ]


@pytest.fixture
def quick(monkeypatch):
    kind = bi_encoder._Kind(epochs=4, learning_rate=0.03, folds=2)
    monkeypatch.setattr(bi_encoder, "STATIC", kind)


def fit(collection, told=None):
    with collection.probe() as probe:
        data = make_data(probe, questions())
        # Ways of asking, not words, are kept apart: the words are what is to be learned.
        data.folds = np.asarray([int(question.id[-1]) % 2 for question in data.questions])
        tell = (lambda what, value: None) if told is None else (lambda what, value: told.append(what))
        return FullLever().fit(data, np.arange(len(data.questions)), probe.settings, tell), probe


def hits(collection, serving=None):
    asked = {question.id: question.text for question in questions()}
    found = collection.rankings(asked, serving=serving, mode="semantic", depth=1)
    return sum(found[question.id] == list(question.grades) for question in questions())


def test_a_model_learns_and_is_indexed_beside_the_live_one(collection, tmp_path, quick):
    told = []
    fitted, probe = fit(collection, told)
    assert fitted is not None
    assert fitted.cv.gain > fitted.cv.error
    assert {what.partition(",")[0] for what in told} >= {"loss", "learned 1"}
    with pytest.raises(ValueError, match="make a candidate of it first"):
        rank_with(probe, fitted)
    before, live = hits(collection), next(one.id for one in collection.servings() if one.live)
    folder = models_folder(Location(tmp_path), "words")
    candidate = make_candidate(collection, fitted, folder, who="me")
    assert hits(collection) == before  # nothing became live
    assert [one.id for one in collection.servings() if one.live] == [live]
    assert hits(collection, candidate) >= before + 10
    (saved,) = (path for path in folder.iterdir() if path.is_dir())
    serving = next(one for one in collection.servings() if one.id == candidate)
    assert (serving.model, serving.gate) == (str(saved), {"verdict": "pending"})
    assert drop_unused_models(collection, folder) == []
    # Begun once more after an interruption, it is the same model, generation and serving.
    again, _ = fit(collection)
    assert make_candidate(collection, again, folder, who="me") == candidate
    assert len(collection.generations()) == 2


def test_vectors_of_somebodys_own_have_no_model_to_train(tmp_path):
    with Collection.create("own", dimension=3, home=tmp_path) as made:
        made.add([{"id": "a", "text": "one"}], vectors=np.eye(3, dtype=np.float32)[:1])
        with made.probe() as probe:
            data = SimpleNamespace(probe=probe, mode="semantic")
            with pytest.raises(BadInput, match="no model that could be trained"):
                FullLever().fit(data, np.arange(10), probe.settings, lambda what, value: None)
