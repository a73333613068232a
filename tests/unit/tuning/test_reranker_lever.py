"""Learning of the bundled reranker from judgments, through a real index."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.settings import Location
from app.tuning.data import make_data
from app.tuning.levers.reranker import RerankerLever
from app.tuning.trained import interaction
from app.tuning.trained.candidates import drop_unused_models, make_candidate, models_folder, rank_with
from app.tuning.trained.interaction import InteractionTraining, between
from app.tuning.trained.needs import need
from app.tuning.trained.reading import Reading, make_reading
from indexing import Collection
from indexing.errors import BadInput
from indexing.names import BUNDLED_RERANKER
from stlib.runtime import InteractionReranker
from tests.toy_tokens import ToyTokens

THINGS = ("kettle", "ladder", "violin", "candle", "anchor", "basket", "helmet", "mirror", "pillow", "wallet")
SENTENCES = {
    "repair": "How to repair a {} that is broken, step by step.",
    "price": "The price of a {} and where a {} is sold: {}.",
    "story": "A story in which a {} is lost and a {} is found.",
}


@pytest.fixture
def collection(tmp_path):
    with Collection.create("things", home=tmp_path) as made:
        made.add(
            {"id": f"{thing}-{kind}", "text": text.replace("{}", thing)}
            for thing in THINGS
            for kind, text in SENTENCES.items()
        )
        yield made


def questions():
    """People who name a thing want it repaired; the words alone do not tell."""
    return [
        SimpleNamespace(
            id=f"q{number}", text=f"the {thing}", grades={f"{thing}-repair": 2, f"{thing}-price": 0}
        )
        for number, thing in enumerate(THINGS)
    ] + [
        SimpleNamespace(id=f"r{number}", text=f"a {thing} please", grades={f"{thing}-repair": 1})
        for number, thing in enumerate(THINGS)
    ]


def test_reading_scores_as_a_search_orders(collection):
    reranker = InteractionReranker.load()
    with collection.probe() as probe:
        data = make_data(probe, questions())
        for at, question in enumerate(data.questions):
            reading = make_reading(data, at, probe.settings)
            scores = InteractionTraining(reranker).scores(None, reading)
            np.testing.assert_allclose(scores, reranker.scores(question.text, reading.windows), atol=1e-5)
            ids = probe.rank(question.text, rerank=reranker, depth=10)
            gains = np.asarray([max(question.grades.get(id_, 0), 0) for id_ in ids[:10]])
            expected = (gains / np.log2(np.arange(2, len(gains) + 2))).sum() / max(question.grades.values())
            assert reading.ndcg(scores, reranker.weight) == pytest.approx(expected)


def test_what_is_learned_is_saved_ranked_with_and_kept_from_the_live_answers(
    collection, tmp_path, monkeypatch
):
    monkeypatch.setattr(interaction, "LEARNING_RATE", 0.02)  # twenty questions are few steps
    told = []
    with collection.probe() as probe:
        data = make_data(probe, questions())
        positions = np.arange(len(data.questions))
        lever = RerankerLever()
        fitted = lever.fit(data, positions, probe.settings, lambda what, value: told.append(what))
        assert fitted is not None
        assert fitted.cv.gain > fitted.cv.error
        assert fitted.cv.chosen["learned"] > 0
        ranked = {q.id: rank_with(probe, fitted)(q)[:5] for q in data.questions}
        again = RerankerLever().fit(data, positions, probe.settings, lambda what, value: None)
    assert again.made.fingerprint == fitted.made.fingerprint  # the same judgments make the same reranker
    assert {what.partition(",")[0] for what in told} >= {"loss", "learned 0.25"}
    folder = models_folder(Location(tmp_path), "things")
    live = collection.rankings({q.id: q.text for q in questions()}, depth=5)
    candidate = make_candidate(collection, fitted, folder, who="me")
    asked = {q.id: q.text for q in questions()}
    assert collection.rankings(asked, serving=candidate, depth=5) == {
        id_: ids[:5] for id_, ids in ranked.items()
    }
    assert collection.rankings(asked, depth=5) == live
    assert collection.settings(candidate).reranker["fingerprint"] == fitted.made.fingerprint
    assert {one.id: one.gate for one in collection.servings()}[candidate] == {"verdict": "pending"}
    assert drop_unused_models(collection, folder) == []
    assert make_candidate(collection, fitted, folder) != candidate
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1  # the same model is there once


def test_models_that_no_serving_names_are_dropped(collection, tmp_path):
    folder = models_folder(Location(tmp_path), "things")
    (folder / "0123456789abcdef").mkdir(parents=True)
    assert drop_unused_models(collection, folder) == [folder / "0123456789abcdef"]
    assert list(folder.iterdir()) == []


def test_too_few_questions_change_nothing(collection):
    with collection.probe() as probe:
        data = make_data(probe, questions()[:9])
        assert RerankerLever().fit(data, np.arange(9), probe.settings, lambda what, value: None) is None


def test_the_network_of_training_is_that_of_the_runtime():
    import torch

    from app.tuning.trained.interaction import _scores

    net = InteractionReranker.load().net
    generator = np.random.default_rng(3)
    tokens = generator.normal(size=(4, 5, net.tensors["token_mean"].size)).astype(np.float32)
    pairs = generator.normal(size=(4, net.tensors["pair_mean"].size)).astype(np.float32)
    weights = {name: torch.from_numpy(tensor) for name, tensor in net.tensors.items()}
    found = _scores(torch, weights, torch.from_numpy(tokens), torch.from_numpy(pairs)).numpy()
    np.testing.assert_allclose(found, net(tokens, pairs), rtol=1e-4, atol=1e-4)


def test_networks_in_between():
    net = InteractionReranker.load().net
    other = {name: tensor + 1 for name, tensor in net.tensors.items()}
    middle = between(net, other, 0.5)
    np.testing.assert_allclose(middle.tensors["gate.bias"], net.tensors["gate.bias"] + 0.5)
    assert all((between(net, other, 0.0).tensors[name] == net.tensors[name]).all() for name in other)


def test_ndcg_of_a_reading_by_hand():
    reading = Reading(
        "q",
        np.asarray([0.0, 1.0]),
        np.asarray([True, False]),
        np.asarray([2.0, 1.0], np.float32),
        ["a1", "a2", "b"],
        np.asarray([0, 2]),
        1.0,
    )
    assert reading.ndcg(None, 0.0) == pytest.approx(1 / np.log2(3))
    # Of a's windows the better one counts: 0.5 against b's 0.9, and reading has the larger share.
    assert reading.ndcg(np.asarray([0.1, 0.5, 0.9]), 0.6) == 1.0
    assert reading.ndcg(np.asarray([0.1, 0.5, 0.9]), 0.4) == pytest.approx(1 / np.log2(3))
    assert reading.best_windows(np.asarray([0.1, 0.5, 0.9])).tolist() == [1, 2]


def test_what_is_missing_for_training_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match="extra 'train': datasets and accelerate is not installed; run: pip"):
        need("train", "training")


def test_the_memory_is_left_out_of_what_is_read(collection):
    from indexing.search.settings import Memory

    with collection.probe() as probe:
        data = make_data(probe, questions())
        memory = Memory(data.vectors, tuple({f"{THINGS[0]}-story": 1.0} for _ in data.questions), 0.1, 5)
        lever = RerankerLever()
        start = replace(probe.settings, memory=memory)
        lever._look_at(data, start)
        plain = make_reading(data, 0, probe.settings)
        np.testing.assert_array_equal(lever._reading(data, 0, start).retrieved, plain.retrieved)


def test_served_vectors_of_tokens_are_what_a_reranker_has_to_beat(tmp_path):
    with Collection.create("things", home=tmp_path, tokens=ToyTokens()) as made:
        made.add({"id": thing, "text": SENTENCES["repair"].replace("{}", thing)} for thing in THINGS[:9])
        made.reindex(reranker="tokens")
        with made.probe() as probe:
            data = make_data(probe, questions())
            lever = RerankerLever()
            readings = [make_reading(data, at, probe.settings) for at in range(len(data.questions))]
            before = lever._before(data, readings, probe.settings, {}, None)
            assert lever._recorded(probe.settings)["name"] == BUNDLED_RERANKER
            for question, reading, ndcg in zip(data.questions, readings, before, strict=True):
                ids = probe.rank(question.text, depth=10)
                gains = np.asarray([max(question.grades.get(id_, 0), 0) for id_ in ids])
                discounted = (gains / np.log2(np.arange(2, len(gains) + 2))).sum()
                assert ndcg == pytest.approx(discounted / reading.ideal if reading.ideal else 0.0)
