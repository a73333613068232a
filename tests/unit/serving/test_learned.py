"""Servings with learned settings: they are stored, answer as their settings say, and wait for the gate."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from safetensors.numpy import save
from sqlalchemy import text

from indexing import Collection
from indexing.catalog.database import reading, writing
from indexing.errors import BadInput, FilterError, GateNotPassed, StorageError
from indexing.search.settings import Boost, Head, Memory, SearchSettings


def ids(answer):
    return [result.id for result in answer]


@pytest.fixture
def spread(home):
    """Three documents on the axes of three dimensions, and questions that bring their vector."""
    with Collection.create("axes", model=by_letters, precision="float32", home=home) as collection:
        collection.add(
            [
                {"id": "a", "title": "apple", "text": "aaaa", "metadata": {"kind": "fruit"}},
                {"id": "b", "title": "banana split", "text": "bbbb", "metadata": {"kind": "dish"}},
                {"id": "c", "title": "cake", "text": "cccc", "metadata": {"kind": "dish"}},
            ]
        )
        yield collection


def by_letters(texts):
    return np.array([[one.count(letter) + 0.01 for letter in "abc"] for one in texts])


def test_a_head_maps_questions_and_leaves_documents(spread):
    swap = Head(np.asarray([[0, 1, 0], [1, 0, 0], [0, 0, 1]], np.float32))
    made = spread.create_serving(SearchSettings(head=swap), note="a and b swapped", needs_gate=False)
    assert ids(spread.search("a", 1, mode="semantic")) == ["a"]
    assert ids(spread.search("a", 1, mode="semantic", serving=made.id)) == ["b"]
    with spread.probe() as probe:
        vector = swap(probe.encode(["a"]))[0]
    by_hand = spread.search(vector=vector, mode="semantic")
    by_serving = spread.search("a", mode="semantic", serving=made.id)
    assert [r.score for r in by_serving] == pytest.approx([r.score for r in by_hand], abs=1e-6)
    assert spread.servings()[0].live
    spread.promote(made.id)
    assert ids(spread.search("a", 1, mode="semantic")) == ["b"]
    spread.rollback()
    assert ids(spread.search("a", 1, mode="semantic")) == ["a"]


def test_a_head_of_low_rank_is_the_sum_that_it_says():
    generator = np.random.default_rng(0)
    up, down = (generator.normal(size=shape).astype(np.float32) for shape in ((8, 2), (2, 8)))
    vectors = generator.normal(size=(5, 8)).astype(np.float32)
    whole = Head((np.eye(8) + up @ down).astype(np.float32))
    assert Head(up, down)(vectors) == pytest.approx(whole(vectors), abs=1e-5)


def test_memory_adds_the_worth_of_near_questions_times_its_weight(spread):
    with spread.probe() as probe:
        past = probe.encode(["a", "ab"])
    memory = Memory(past, ({"c": 1.0, "gone": 1.0}, {"b": 0.5, "a": -0.25}), reach=0.5, neighbours=2)
    settings = SearchSettings(weights={"memory": 20.0}, memory=memory)
    made = spread.create_serving(settings, note="remembers", needs_gate=False)
    near = float(past[0] @ past[1])
    share = (near - 0.5) / 0.5  # of the second question
    before = {r.id: r.score for r in spread.search("a")}
    for result in spread.search("a", serving=made.id):
        worth = {"c": 1.0, "b": 0.5 * share, "a": -0.25 * share}[result.id]
        assert result.parts["memory"] == pytest.approx(worth, abs=1e-5)
        assert result.parts["memory_share"] == pytest.approx(20 * worth, abs=1e-5)
        assert result.score == pytest.approx(before[result.id] + 20 * worth, abs=1e-4)
    assert spread.search("a", serving=made.id)[0].id == "c"
    assert "memory" not in spread.search("a", mode="semantic", serving=made.id)[0].parts


def test_memory_respects_filters_and_deletions(spread):
    with spread.probe() as probe:
        memory = Memory(probe.encode(["a"]), ({"c": 9.0},), reach=0.5, neighbours=1)
    made = spread.create_serving(SearchSettings(memory=memory), note="", needs_gate=False)
    assert ids(spread.search("a", serving=made.id, filter="kind = 'fruit'")) == ["a"]
    spread.delete(["c"])
    assert ids(spread.search("a", serving=made.id)) == ["a", "b"]


def test_features_and_boosts_are_added_to_the_fused_score(spread):
    boosts = (Boost("kind = 'dish'", 2.0), Boost("kind = 'fruit'", -1.0))
    settings = SearchSettings(features={"title": 1.5, "naming": 0.5, "length": 0.1}, boosts=boosts)
    made = spread.create_serving(settings, note="", needs_gate=False)
    before = {r.id: r.score for r in spread.search("banana bread")}
    answer = spread.search("banana bread", serving=made.id)
    length = np.log10(5) - 3
    added = {
        "a": 0.1 * length - 1.0,
        "b": 1.5 * 0.5 + 0.5 * 0.5 + 0.1 * length + 2.0,
        "c": 0.1 * length + 2.0,
    }
    assert {r.id: r.score for r in answer} == pytest.approx(
        {id_: before[id_] + added[id_] for id_ in before}, abs=1e-4
    )
    first = answer[0]
    assert (first.id, first.parts["title_share"], first.parts["boost_1_share"]) == ("b", 0.75, 2.0)
    assert first.score == pytest.approx(sum(v for name, v in first.parts.items() if name.endswith("_share")))
    assert ids(spread.search("a", mode="semantic", serving=made.id)) == ids(
        spread.search("a", mode="semantic")
    )


def test_an_answer_below_the_threshold_is_weak(spread):
    best = spread.search("a")[0].score
    made = spread.create_serving(SearchSettings(threshold=best + 1), note="", needs_gate=False)
    weak = spread.search("a", serving=made.id)
    assert weak.weak.startswith("Nothing here answers the question as well")
    assert weak.to_dict()["weak"] == weak.weak
    assert ids(weak) == ids(spread.search("a"))
    assert spread.search("a").weak is None


def test_a_question_whose_words_nobody_knows_is_weak(home):
    with Collection.create("notes", home=home) as notes:
        notes.add([{"id": "bread", "text": "Dough rises because yeast makes gas."}])
        said = notes.search("\U0001f984\U0001f984")
        assert said.weak.startswith("The model knows no word of this question, and no document has one")
        assert notes.search("dough \U0001f984").weak is None


def test_settings_are_the_same_after_they_were_stored(spread, home):
    memory = Memory(np.eye(3, dtype=np.float32), ({"a": 1.0}, {}, {"b": 0.25, "c": -1.0}), 0.25, 3)
    settings = SearchSettings(
        weights={"keyword": 0.5, "memory": 2.0},
        features={"title": 0.25},
        boosts=(Boost("kind = 'dish'", 0.5),),
        threshold=1.5,
        rerank_weight=0.25,
        head=Head(np.full((3, 1), 0.5, np.float32), np.full((1, 3), 0.25, np.float32)),
        memory=memory,
    )
    made = spread.create_serving(settings, note="everything")
    assert (made.note, made.head, made.memory, made.gate) == (
        "everything",
        True,
        True,
        {"verdict": "pending"},
    )
    with Collection.open("axes", model=by_letters, home=home) as again:
        read = again.settings(made.id)
        assert again.verify().clean
    for name in ("weights", "features", "boosts", "threshold", "rerank_weight", "reranker"):
        assert getattr(read, name) == getattr(settings, name)
    assert read.memory.vectors.tolist() == memory.vectors.tolist()
    assert (read.memory.answers, read.memory.reach, read.memory.neighbours) == (memory.answers, 0.25, 3)
    assert read.head.matrix.tolist() == settings.head.matrix.tolist()
    assert read.head.down.tolist() == settings.head.down.tolist()


def test_what_was_learned_is_live_only_through_the_gate_or_a_reason(spread):
    made = spread.create_serving(SearchSettings(weights={"keyword": 0.5}), note="weights")
    with pytest.raises(GateNotPassed, match="was learned, and the gate says 'pending' of it"):
        spread.promote(made.id)
    spread.record_gate(made.id, {"verdict": "failed", "p": 0.4})
    with pytest.raises(GateNotPassed, match="'failed'"):
        spread.promote(made.id)
    with pytest.raises(BadInput, match="reason of an override is empty"):
        spread.promote(made.id, override="  ")
    assert spread.promote(made.id, override="we know these users", who="ann").serving.id == made.id
    event = spread.servings()[-1].promotions[-1]
    assert (event.kind, event.who, event.override) == ("promote", "ann", "we know these users")
    spread.rollback()
    spread.record_gate(made.id, {"verdict": "passed"})
    spread.promote(made.id)
    assert spread.servings()[-1].gate == {"verdict": "passed"}
    with pytest.raises(BadInput, match="was not learned"):
        spread.record_gate(1, {"verdict": "passed"})


def test_a_verdict_holds_as_long_as_what_it_was_compared_with_is_live(spread):
    made, other = (
        spread.create_serving(SearchSettings(weights={"keyword": weight}), note="", needs_gate=needs)
        for weight, needs in ((0.5, True), (0.7, False))
    )
    spread.record_gate(made.id, {"verdict": "passed", "baseline": 1})
    spread.promote(other.id)
    with pytest.raises(GateNotPassed, match=f"against serving 1, and serving {other.id} is live by now"):
        spread.promote(made.id)
    spread.rollback()
    spread.promote(made.id)
    spread.promote(other.id)
    spread.promote(made.id)  # an earlier serving that a person names
    assert next(one.id for one in spread.servings() if one.live) == made.id


def test_a_promotion_looks_at_what_is_live_when_the_pointer_moves(spread, monkeypatch):
    made, other = (
        spread.create_serving(SearchSettings(weights={"keyword": weight}), note="", needs_gate=needs)
        for weight, needs in ((0.5, True), (0.7, False))
    )
    spread.record_gate(made.id, {"verdict": "passed", "baseline": 1})

    def meanwhile(point):
        if point == "swap.before":
            monkeypatch.undo()
            spread.promote(other.id)

    monkeypatch.setattr("indexing.serving.promote.faults.point", meanwhile)
    with pytest.raises(GateNotPassed, match="is live by now"):
        spread.promote(made.id)
    assert next(one.id for one in spread.servings() if one.live) == other.id


def test_what_is_tried_no_more_is_not_promoted_for_its_votes(spread):
    made = spread.create_serving(SearchSettings(weights={"keyword": 0.5}), note="")
    spread.start_trial(made.id)
    assert spread.end_trial(serving=1) is None
    assert spread.trial() == made.id
    spread.end_trial(serving=made.id)
    with pytest.raises(BadInput, match="is not tried beside serving 1 any more: nothing was changed"):
        spread.promote(made.id, "preferred", tried_beside=1)
    spread.start_trial(made.id)
    assert spread.promote(made.id, "preferred", tried_beside=1).serving.id == made.id


def test_a_trial_interleaves_both_answers_until_it_ends(spread):
    settings = SearchSettings(boosts=(Boost("kind = 'dish'", 100.0),))
    made = spread.create_serving(settings, note="dishes first")
    spread.start_trial(made.id, who="ann")
    assert (spread.trial(), spread.servings()[-1].trial) == (made.id, True)
    alone = {
        1: ids(spread.search("apple aaaa", serving=1)),
        made.id: ids(spread.search("apple aaaa", serving=made.id)),
    }
    assert alone[1][0] == "a"
    assert alone[made.id][-1] == "a"
    firsts = set()
    for seed in map(str, range(20)):
        answer = spread.search("apple aaaa", seed=seed)
        assert (answer.trial, len(answer.teams), sorted(ids(answer))) == ((1, made.id), 3, ["a", "b", "c"])
        pages = [spread.search("apple aaaa", 1, offset=at, seed=seed) for at in range(3)]
        assert [page[0].id for page in pages] == ids(answer)
        assert [page.teams[0] for page in pages] == answer.teams
        firsts.add((answer.teams[0], answer[0].id))
    assert firsts == {(1, "a"), (made.id, alone[made.id][0])}
    assert spread.end_trial(who="bob") == made.id
    assert spread.search("apple aaaa").trial is None
    history = [(one.kind, one.who) for one in spread.servings()[-1].promotions]
    assert history == [("trial", "ann"), ("trial end", "bob")]
    with pytest.raises(BadInput, match="no earlier serving"):
        spread.rollback()


def test_a_promotion_ends_a_trial(spread):
    made = spread.create_serving(SearchSettings(weights={"keyword": 0.5}), note="")
    spread.start_trial(made.id)
    spread.promote(made.id, override="sure")
    assert spread.trial() is None
    with pytest.raises(BadInput, match="is live: try another one"):
        spread.start_trial(made.id)


def test_a_generation_on_trial_is_followed_and_cannot_be_dropped(spread):
    made = spread.reindex(precision="int8", promote=False, needs_gate=True).serving
    assert made.gate == {"verdict": "pending"}
    spread.start_trial(made.id)
    with pytest.raises(BadInput, match="tried beside the live one: end the trial"):
        spread.drop_generation(made.generation_id)
    spread.add([{"id": "d", "title": "", "text": "aabb"}])
    assert len(spread.search("aabb", serving=made.id)) == 4
    assert spread.servings()[-1].behind == 0
    spread.end_trial()
    assert spread.drop_generation(made.generation_id) == 4


def test_an_unknown_serving_is_refused_with_those_there_are(spread):
    with pytest.raises(BadInput, match="has no serving 7; there are: 1"):
        spread.search("a", serving=7)


@pytest.mark.parametrize(
    ("ranking", "message"),
    [
        ({"features": {"colour": 1}}, "feature 'colour': there is none"),
        ({"features": {"title": "much"}}, "weight 'much' of title"),
        ({"boosts": [{"filter": "x = 1"}]}, "give a filter and a weight"),
        ({"threshold": float("nan")}, "threshold nan: give a number"),
        ({"rerank_weight": 2}, "rerank_weight 2: give a number from 0 to 1"),
        ({"colour": 1}, "there is besides: features"),
    ],
    ids=["feature", "weight", "boost", "threshold", "share", "key"],
)
def test_a_ranking_that_is_none_is_refused(spread, ranking, message):
    with pytest.raises(BadInput, match=message):
        spread.reindex(ranking=ranking)


def test_a_boost_whose_filter_cannot_be_read_is_refused(spread):
    with pytest.raises(FilterError):
        spread.reindex(ranking={"boosts": [{"filter": "x =", "weight": 1}]})


def test_what_was_learned_must_fit_the_vectors(spread):
    with pytest.raises(BadInput, match="has 2 dimensions, and generation 1 3"):
        spread.create_serving(SearchSettings(head=Head(np.eye(2, dtype=np.float32))), note="")
    with pytest.raises(BadInput, match="finite numbers"):
        Head(np.full((2, 2), np.inf, np.float32))


@pytest.mark.parametrize("harm", ["DELETE FROM artifact", "UPDATE artifact SET data = zeroblob(300)"])
def test_an_altered_artifact_is_named_and_the_others_answer(spread, harm):
    made = spread.create_serving(SearchSettings(head=Head(np.eye(3, dtype=np.float32))), note="")
    with writing(spread._session.database) as connection:
        connection.execute(text(harm))
    with pytest.raises(StorageError, match="what a serving has learned"):
        spread.search("a", serving=made.id)
    assert ids(spread.search("a", 1)) == ["a"]
    assert ["what a serving has learned" in error for error in spread.verify().errors] == [True]


def test_a_damaged_serving_on_trial_fails_no_search(spread):
    made = spread.create_serving(SearchSettings(head=Head(np.eye(3, dtype=np.float32))), note="")
    spread.start_trial(made.id)
    with writing(spread._session.database) as connection:
        connection.execute(text("DELETE FROM artifact"))
    answer = spread.search("a", 1)
    assert (ids(answer), answer.trial) == (["a"], None)
    assert f"serving {made.id} is tried and fails" in answer.notes[-1]


def test_artifacts_go_with_the_last_serving_that_names_them(spread):
    with pytest.raises(GateNotPassed):
        spread.promote(
            spread.create_serving(SearchSettings(head=Head(np.eye(3, dtype=np.float32))), note="").id
        )
    other = spread.reindex(by_lengths)
    assert other.serving.query_model is None
    spread.drop_generation(1)
    with reading(spread._session.database) as connection:
        assert connection.scalar(text("SELECT count(*) FROM artifact")) == 0


def by_lengths(texts):
    return np.array([[len(one), 1.0] for one in texts])


def test_a_trace_adds_up_to_what_a_search_gives(notes):
    question = "note about honey"
    settings = SearchSettings(weights={"semantic": 0.7, "keyword": 1.3}, features={"length": 0.5})
    with notes.probe() as probe:
        trace = probe.trace(question, include=["n0001", "gone"])
        ranked = probe.rank(question, settings, depth=20)
    assert "n0001" in trace.ids
    assert "gone" not in trace.ids
    total = np.asarray([0.7, 1.3]) @ trace.shares + 0.5 * trace.features["length"]
    order = np.lexsort((np.arange(len(total)), -total.astype(np.float32)))
    by_trace = [trace.ids[at] for at in order if trace.found[:, at].any()][:20]
    assert ranked == by_trace
    made = notes.create_serving(settings, note="", needs_gate=False)
    assert ranked == [result.id for result in notes.search(question, 20, serving=made.id)]
    assert notes.rankings({"q": question}, serving=made.id, depth=20) == {"q": ranked}


def test_a_probe_gives_the_stored_vectors_of_documents(spread):
    spread.add([{"id": "x", "text": "aab"}, {"id": "y", "text": "bbc"}])
    with spread.probe() as probe:
        vectors = probe.vectors(["y", "x", "gone"])
    for id_, row in zip("xy", by_letters(["aab", "bbc"]), strict=True):
        assert vectors[id_][0] == pytest.approx(row / np.linalg.norm(row), abs=1e-6)
    assert set(vectors) == {"x", "y"}


def hostile_memory(ids):
    """Bytes of a memory whose ids are these bytes."""
    numbers = np.zeros(1, np.int64)
    return save(
        {
            "vectors": np.eye(1, 3, dtype=np.float32),
            "question": numbers,
            "document": numbers,
            "worth": np.ones(1),
            "ids": np.frombuffer(ids, np.uint8),
        }
    )


@pytest.mark.parametrize(
    "data",
    [hostile_memory(b"[" * 100_000), hostile_memory(b"7"), hostile_memory(b"[[]]"), b"no tensors", save({})],
    ids=["deep", "number", "list", "none", "empty"],
)
def test_a_memory_that_somebody_made_up_is_named(spread, data):
    made = spread.create_serving(
        SearchSettings(memory=Memory(np.eye(1, 3, dtype=np.float32), ({"a": 1.0},), 0.5, 1)), note=""
    )
    fingerprint = hashlib.sha256(data).hexdigest()
    memory = json.dumps({"artifact": fingerprint, "reach": 0.5, "neighbours": 1})
    with writing(spread._session.database) as connection:
        values = {"f": fingerprint, "d": data, "m": memory, "id": made.id}
        connection.execute(text("UPDATE artifact SET fingerprint = :f, data = :d"), values)
        connection.execute(text("UPDATE serving SET memory = :m WHERE id = :id"), values)
    with pytest.raises(StorageError, match="has settings that are none"):
        spread.search("a", serving=made.id)
    assert ids(spread.search("a", 1)) == ["a"]
