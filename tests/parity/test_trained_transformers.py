"""Transformers that learn from judgments: what is made is what the library saves, loads and computes."""

from __future__ import annotations

import json

import numpy as np
import pytest

from app.tuning.trained.bi_encoder import ModelTraining, Row
from app.tuning.trained.candidates import save_model
from app.tuning.trained.pairs import PairTraining
from app.tuning.trained.reading import Reading
from indexing.errors import BadInput
from indexing.models.encoders import load_encoder
from indexing.models.rerankers import load_reranker, reranker_fingerprint
from stlib import CrossEncoder, SentenceTransformer

QUESTIONS = ["how do i sort a list", "quick brown fox", "search text by meaning", "the lazy dog"]
ANSWERS = ["sort the list in short", "the fox jumps over", "a query and a document", "the dog is long"]


@pytest.fixture
def readings():
    """Each answer stands last, below the answers to the others."""
    made = []
    for question, answer in zip(QUESTIONS, ANSWERS, strict=True):
        windows = [*(other for other in ANSWERS if other != answer), answer]
        gains = np.asarray([0.0, 0.0, 0.0, 2.0])
        retrieved = np.asarray([4.0, 3.0, 2.0, 1.0], np.float32)
        made.append(Reading(question, gains, gains == 0, retrieved, windows, np.arange(4), 2.0))
    return made


def margin(scores):
    """How far the answer is above the best of the others."""
    return float(scores[-1] - scores[:-1].max())


def test_a_cross_encoder_learns_and_is_saved_as_it_ranks(tiny_reranker, readings, monkeypatch, tmp_path):
    monkeypatch.setattr("app.tuning.trained.pairs.LEARNING_RATE", 3e-3)
    monkeypatch.setattr("app.tuning.trained.pairs.EPOCHS", 6)
    training, losses = PairTraining(tiny_reranker), []
    before = [training.scores(None, one) for one in readings]
    plain = CrossEncoder(tiny_reranker)
    pairs = [(readings[0].text, window) for window in readings[0].windows]
    from torch.nn import Identity

    np.testing.assert_allclose(before[0], plain.predict(pairs, activation_fn=Identity()), atol=1e-5)
    made = training.learn(readings, losses.append)
    assert sorted(made) == [0.5, 1.0]
    assert losses[-1] < losses[0]
    after = [training.scores(made[1.0], one) for one in readings]
    assert np.mean([*map(margin, after)]) > np.mean([*map(margin, before)]) + 0.5
    weighted = training.weighted(made[1.0], 0.3)
    saved = save_model(weighted, tmp_path / "models")
    loaded = load_reranker(str(saved))
    assert weighted.weight == 0.3
    assert reranker_fingerprint(loaded) == weighted.fingerprint
    np.testing.assert_allclose(loaded.scores(readings[0].text, readings[0].windows), after[0], atol=1e-5)
    # The same judgments make the same model, which is there once.
    again = PairTraining(tiny_reranker).learn(readings, losses.append)[1.0]
    assert save_model(again, tmp_path / "models") == saved


def test_a_transformer_learns_by_adapters_that_its_weights_take_in(tiny_bert, monkeypatch, tmp_path):
    kind = ModelTraining(tiny_bert).kind
    monkeypatch.setattr("app.tuning.trained.bi_encoder.TRANSFORMER", type(kind)(60, 3e-2, 2))
    training = ModelTraining(tiny_bert)
    rows = [
        Row(question, answer, tuple(other for other in ANSWERS if other != answer))
        for question, answer in zip(QUESTIONS, ANSWERS, strict=True)
    ]
    learned = training.learn(rows, lambda loss: None)
    base = SentenceTransformer(tiny_bert)
    assert set(learned) == set(base.state_dict())

    def nearness(model):
        questions, answers = training.encode(model, QUESTIONS, ANSWERS)
        table = questions @ answers.T
        return float((np.diag(table) - (table.sum(axis=1) - np.diag(table)) / 3).mean())

    unlearned = training.made(learned, 0.0)
    np.testing.assert_allclose(unlearned.encode(ANSWERS), base.encode(ANSWERS), atol=1e-5)
    made = training.made(learned, 1.0)
    assert nearness(made) > nearness(base) + 0.05
    saved = save_model(made, tmp_path / "models")
    assert not (saved / "README.md").exists()  # it would quote what people asked
    assert "adapter" not in json.dumps([path.name for path in saved.rglob("*")])
    found = load_encoder(str(saved)).encode_document(ANSWERS)
    np.testing.assert_allclose(found, made.encode_document(ANSWERS), atol=1e-5)


def test_a_model_without_weights_to_train_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BadInput, match="cannot be trained"):
        ModelTraining(str(tmp_path))
    with pytest.raises(BadInput, match="cannot be trained"):
        PairTraining(str(tmp_path))
