"""Reranking by the stored vectors of tokens: order, limits, servings, reindexing, and what goes wrong."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from app.cli.group import cli
from app.wording import format_bytes
from indexing import Collection
from indexing.catalog.database import reading, writing
from indexing.catalog.schema import TOKEN_CODES
from indexing.documents import ChunkSettings
from indexing.errors import BadInput, RerankingFailed, StorageError
from tests.toy_tokens import DIMENSION, ToyTokens, maxsim

TEXTS = {
    "apple": "An apple is a fruit that grows on trees.",
    "bread": "Bread is baked from flour; fruit bread has fruit in it.",
    "cider": "Cider is pressed from the fruit of apple trees.",
    "dough": "Dough rests before it is baked.",
}


@pytest.fixture
def words():
    return ToyTokens()


@pytest.fixture
def food(home, words):
    with Collection.create("food", home=home, tokens=words) as collection:
        collection.add({"id": id_, "text": text} for id_, text in TEXTS.items())
        yield collection


QUESTION = "apple trees baked"


def standardised(values):
    values = np.asarray(values, np.float64)
    return (values - values.mean()) / values.std()


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_scores_are_the_weighted_sum_of_both(food, mode, ids):
    before = food.search(QUESTION, mode=mode)
    after = food.search(QUESTION, mode=mode, rerank="tokens")
    order = ids(before)
    assert after.reranked == len(order) > 1 and after.notes == []
    read = [maxsim(QUESTION, TEXTS[id_]) for id_ in order]
    blend = 0.4 * standardised(read) + 0.6 * standardised([result.score for result in before.results])
    expected = dict(zip(order, blend, strict=True))
    assert ids(after) == sorted(order, key=lambda id_: -expected[id_])
    for result in after.results:
        assert result.score == pytest.approx(expected[result.id], abs=0.1)
        assert result.parts["rerank"] == pytest.approx(maxsim(QUESTION, TEXTS[result.id]), abs=0.1)
        assert result.parts["rerank_weight"] == 0.4


def test_the_best_passage_near_the_best_one_counts(home, words, ids):
    with Collection.create("long", home=home, tokens=words, chunk=ChunkSettings(12, 0)) as collection:
        parts = [
            "Stones are hard and grey and old.",
            "Pears grow on trees.",
            "Rain falls on hills and fields.",
        ]
        collection.add([{"id": "long", "text": " ".join(parts)}, {"id": "short", "text": "Pears are green."}])
        assert collection.info().chunks > 2
        found = collection.search("pears grow", rerank="tokens")
        read = {result.id: result.parts["rerank"] for result in found.results}
        assert read["long"] == pytest.approx(maxsim("pears grow", parts[1]), abs=0.1)
        assert read["short"] == pytest.approx(maxsim("pears grow", "Pears are green."), abs=0.1)


def test_evaluations_and_rankings_are_reranked_too(food):
    queries, qrels = {"q": QUESTION}, {"q": {"cider": 1}}
    report = food.evaluate(queries, qrels, rerank="tokens", rerank_depth=3)
    assert (report.rerank, report.rerank_depth) == ("tokens", 3)
    searched = [result.id for result in food.search(QUESTION, rerank="tokens").results]
    assert food.rankings(queries, rerank="tokens") == {"q": searched}


def test_depth_and_budget_are_kept(food):
    assert food.search(QUESTION, rerank="tokens", rerank_depth=2).reranked == 2
    stopped = food.search(QUESTION, rerank="tokens", rerank_budget_ms=0)
    assert (stopped.reranked, stopped.stopped) == (0, "time was up after 0 of 4 documents were reranked")


def test_a_collection_without_vectors_of_tokens_says_so(home):
    with Collection.create("plain", home=home) as collection:
        collection.add([{"id": "a", "text": TEXTS["apple"]}])
        found = collection.search("apple", rerank="tokens")
        assert (found.reranked, len(found.results)) == (0, 1)
        assert "has no vectors of tokens" in found.notes[0] and "--tokens" in found.notes[0]
        with pytest.raises(RerankingFailed, match="has no vectors of tokens"):
            collection.evaluate({"q": "apple"}, {"q": {"a": 1}}, rerank="tokens")
        with pytest.raises(BadInput, match="no vectors of tokens to rerank by"):
            collection.reindex(reranker="tokens")


def test_a_serving_reranks_by_the_tokens_of_its_generation(food, ids):
    by_hand = food.search(QUESTION, rerank="tokens")
    made = food.reindex(reranker="tokens")
    assert food.info().reranker == "tokens"
    served = food.search(QUESTION)
    assert (served.reranked, ids(served)) == (4, ids(by_hand))
    assert food.search(QUESTION, rerank=None).reranked is None
    assert food.settings().reranker == {"name": "tokens", "fingerprint": "f1"}
    # Another precision copies them and asks the model for nothing; another model takes its place in both.
    assert food.reindex(reranker="tokens").serving == made.serving
    food.reindex(tokens=ToyTokens("f2"))
    assert food.settings().reranker == {"name": "tokens", "fingerprint": "f2"}
    assert ids(food.search(QUESTION)) == ids(by_hand)
    food.reindex(tokens=None)
    assert food.settings().reranker is None
    assert food.search(QUESTION).reranked is None


def codes_of(collection):
    with reading(collection._session.database) as connection:
        return dict(connection.execute(TOKEN_CODES.select()).all())


def test_a_reindex_copies_the_codes_where_the_model_stays(food, words):
    before = codes_of(food)
    n_encoded = len(words.encoded)
    food.reindex(precision="binary")
    after = codes_of(food)
    assert len(words.encoded) == n_encoded
    assert sorted(after.values()) == sorted([*before.values(), *before.values()])
    food.add([{"id": "egg", "text": "Eggs are boiled."}])  # both generations get it
    assert len(codes_of(food)) == 10
    food.reindex(tokens=words)  # is so already
    assert len(codes_of(food)) == 10


def test_codes_go_with_their_documents(food):
    food.delete(["apple"])
    assert len(codes_of(food)) == 3
    food.add([{"id": "bread", "text": "Rye bread."}])
    assert len(codes_of(food)) == 3
    generation = food.info().generation
    food.reindex(tokens=None)
    food.drop_generation(generation)
    assert codes_of(food) == {}


def test_altered_codes_are_noted_and_the_answer_stays(food, ids):
    with writing(food._session.database) as connection:
        connection.execute(TOKEN_CODES.update().values(code=b"short"))
    found = food.search(QUESTION, rerank="tokens")
    assert (found.reranked, ids(found)) == (0, ids(food.search(QUESTION)))
    assert "not reranked: the catalog is damaged" in found.notes[0] and "stlib verify" in found.notes[0]


def test_a_model_that_fails_is_noted(food, words, monkeypatch):
    for broken, said in (
        (lambda texts: 1 / 0, "ZeroDivisionError"),
        (lambda texts: [np.ones((2, 3))], "shape"),
        (lambda texts: [np.full((1, DIMENSION), np.nan)], "numbers"),
    ):
        monkeypatch.setattr(words, "encode_query", broken)
        found = food.search(QUESTION, rerank="tokens")
        assert found.reranked == 0 and said in found.notes[0]


def test_what_gives_no_vectors_of_tokens_makes_no_collection(home, words, monkeypatch):
    monkeypatch.setattr(words, "encode_document", lambda texts: [np.ones(3) for _ in texts])
    with pytest.raises(BadInput, match="gives no vectors of tokens"):
        Collection.create("food", home=home, tokens=words)
    assert Collection.list(home=home) == []


def test_a_width_that_is_not_the_one_told_makes_no_collection(home, words):
    words.dimension = 8
    with pytest.raises(BadInput, match="with 16 values, and says that they have 8"):
        Collection.create("food", home=home, tokens=words)


def test_a_reindex_tells_of_codes_that_are_gone(food):
    with writing(food._session.database) as connection:
        connection.execute(TOKEN_CODES.delete().where(TOKEN_CODES.c.key == min(codes_of(food))))
    with pytest.raises(StorageError, match="passages without their tokens; run `stlib verify`"):
        food.reindex(precision="binary")
    assert food.search(QUESTION).results


def test_verify_knows_what_is_missing_and_what_was_altered(food):
    assert food.verify().clean
    key = min(codes_of(food))
    code = codes_of(food)[key]

    def set_code(code):
        with writing(food._session.database) as connection:
            connection.execute(TOKEN_CODES.update().where(TOKEN_CODES.c.key == key).values(code=code))

    for altered in (code[:-1], bytes([code[0], code[1] ^ 1]) + code[2:], b""):
        set_code(altered)
        (error,) = food.verify().errors
        assert error.startswith("catalog: 1 codes of tokens are not what was stored; delete and index")
    set_code(code)
    assert food.verify().clean
    with writing(food._session.database) as connection:
        connection.execute(TOKEN_CODES.delete().where(TOKEN_CODES.c.key == key))
    assert food.verify().errors == ["catalog: 1 chunks without vectors of tokens"]


def test_verify_knows_altered_settings_and_models(food):
    path = food.info().path
    for change in ("'$.tokens.settings.bits', 3", "'$.tokens.model', ''", "'$.words', 1"):
        with sqlite3.connect(path) as catalog:
            (before,) = catalog.execute("SELECT beside FROM generation").fetchone()
            catalog.execute(f"UPDATE generation SET beside = json_set(beside, {change})")
        (error,) = food.verify().errors
        assert error.startswith("catalog: ") and len(error) < 600, change
        with sqlite3.connect(path) as catalog:
            catalog.execute("UPDATE generation SET beside = ?", (before,))


def test_info_names_the_model_and_the_bytes(food):
    size = sum(map(len, codes_of(food).values()))
    assert food.info().beside == {"tokens": {"model": "object of toy-tokens", "size": size}}
    shown = CliRunner().invoke(cli, ["info", "food", "--home", str(home_of(food))]).stdout
    assert f"tokens       by object of toy-tokens, {format_bytes(size)}\n" in shown


def home_of(collection):
    return Path(collection.info().path).parents[2]
