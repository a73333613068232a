"""Changing what is served: the answers are those of a collection that was made so from the start."""

from __future__ import annotations

import numpy as np
import pytest

from indexing import ChunkSettings, Collection
from indexing.catalog.database import reading
from indexing.catalog.generations import generations_of
from indexing.errors import BadInput, DiskFull
from indexing.names import PRECISIONS

from .conftest import note


def answers(collection, query="music and law", mode="hybrid"):
    return [(r.id, round(r.score, 5)) for r in collection.search(query, 20, mode=mode)]


@pytest.mark.parametrize("precision", [p for p in PRECISIONS if p != "int8"])
def test_another_precision_answers_as_if_it_had_been_there_from_the_start(notes, home, precision):
    report = notes.reindex(precision=precision)
    assert report.work == ("embed" if precision == "float32" else "convert")
    assert (notes.info().precision, notes.info().documents) == (precision, 300)
    assert notes.verify().clean
    with Collection.create("fresh", home=home, precision=precision) as fresh:
        fresh.add(note(number) for number in range(300))
        tolerance = 0 if precision != "float32" else 1e-6
        for (id_, score), (expected_id, expected) in zip(answers(notes), answers(fresh), strict=True):
            assert id_ == expected_id
            assert score == pytest.approx(expected, abs=tolerance)


def test_whole_numbers_become_the_bytes_that_embedding_would_give(home, letters):
    with Collection.create("c", letters, home=home, precision="float32") as collection:
        collection.add({"id": str(i), "text": "a" * i + "b" * (i % 7) + "c" * (i % 3)} for i in range(1, 200))
        embedded = len(letters.calls)
        assert collection.reindex(precision="int8").work == "convert"
        assert len(letters.calls) == embedded  # nothing was embedded
        converted = codes(collection)
        assert collection.reindex().work == "embed"
        assert codes(collection) == converted


def codes(collection):
    """id → codes of what is live."""
    from indexing.catalog.reads import chunks_of_documents

    session = collection._session
    with session.looking() as (connection, _):
        by_key = {document.key: document.id for document in collection.documents()}
        rows = chunks_of_documents(connection, session.live().generation.id, by_key)
    return {by_key[key]: [code for _, _, code in part] for key, part in rows.items()}


def test_another_engine_embeds_nothing_and_copies_nothing(home, letters):
    with Collection.create("c", letters, home=home) as collection:
        collection.add({"id": str(i), "text": "abc" * i + "a" * (i % 5)} for i in range(1, 50))
        calls, before = len(letters.calls), answers(collection, "aabbc", "semantic")
        report = collection.reindex(engine="usearch")
        assert (report.work, report.documents, len(letters.calls) - calls) == ("none", 0, 1)
        assert collection.info().engine == "usearch"
        assert answers(collection, "aabbc", "semantic") == before
        assert len(generations(collection)) == 1


def generations(collection):
    with reading(collection._session.database) as connection:
        return generations_of(connection, collection._session.id)


def test_another_model_is_served_with_its_own_vectors(home, letters, lengths):
    texts = {str(i): ("ab " * i + "c" * (i % 4)).strip() for i in range(1, 40)}
    with Collection.create("c", letters, home=home, precision="float32") as collection:
        collection.add({"id": id_, "text": text} for id_, text in texts.items())
        report = collection.reindex(lengths)
        assert (report.work, report.documents, report.promoted) == ("embed", 39, True)
        query = lengths(["ab ab c"])[0]
        rows = np.array([lengths([text])[0] for text in texts.values()])
        cosines = rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
        expected = sorted(zip(-cosines, texts, strict=True))[:5]
        found = collection.search("ab ab c", 5, mode="semantic")
        assert [r.score for r in found] == pytest.approx([-score for score, _ in expected], abs=1e-5)
        assert found.serving == report.serving.id
        with pytest.raises(BadInput, match="in memory"):
            Collection.open("c", home=home).search("ab", mode="semantic")
        with Collection.open("c", home=home, model=lengths) as again:
            assert [r.id for r in again.search("ab ab c", 5, mode="semantic")] == [r.id for r in found]


def test_other_passages_are_found_with_their_spans(home):
    text = " ".join(f"Sentence {i} speaks of {w}." for i, w in enumerate(["iron"] * 60 + ["honey"] * 60))
    with Collection.create("c", home=home) as collection:
        collection.add([{"id": "long", "text": text}])
        assert collection.info().chunks > 1
        plan = collection.plan_reindex(chunk=ChunkSettings(max_tokens=32, overlap=0))
        collection.reindex(chunk=ChunkSettings(max_tokens=32, overlap=0))
        assert collection.info().chunks <= 1.5 * plan.chunks
        assert plan.chunks <= 1.5 * collection.info().chunks
        few = collection.search("honey", 1, mode="semantic").results[0]
        assert "honey" in text[slice(*few.span)]
        assert collection.info().chunks > 15
        assert collection.verify().clean


def test_a_reranker_and_weights_are_a_serving_of_their_own(notes):
    plain = answers(notes)
    notes.reindex(reranker="stlib-rerank-en")
    found = notes.search("music and law", 20)
    assert found.reranked == 50
    assert notes.search("music and law", 20, rerank=None).reranked is None
    assert notes.search("music and law", 20, rerank=False).reranked is None
    notes.reindex(reranker=None, ranking={"weights": {"keyword": 0.0}})
    assert answers(notes) != plain
    only_meaning = [r.id for r in notes.search("music and law", 5)]
    assert only_meaning == [r.id for r in notes.search("music and law", 5, mode="semantic")]
    notes.rollback()
    assert notes.search("music and law", 20).to_dict()["results"] == found.to_dict()["results"]
    notes.rollback()
    assert answers(notes) == plain


def test_a_candidate_is_not_served_until_it_is_promoted(notes):
    before = notes.search("whale").serving
    report = notes.reindex(precision="binary", promote=False)
    assert (report.promoted, notes.search("whale").serving, notes.info().precision) == (False, before, "int8")
    notes.add([{"id": "late", "text": "a late note about whale"}])
    notes.delete(["n0000"])
    assert [s.behind for s in notes.servings()] == [0, 2]
    promoted = notes.promote(report.serving.id, override="I tried it", who="Ada")
    assert (promoted.before.id, promoted.serving.id) == (before, report.serving.id)
    ids = {r.id for r in notes.search("whale", 400, mode="semantic")}
    assert "late" in ids
    assert "n0000" not in ids
    assert notes.verify().clean
    last = notes.servings()[-1].promotions[-1]
    assert (last.kind, last.who, last.override) == ("promote", "Ada", "I tried it")


def test_going_back_is_a_stack(notes):
    first = notes.search("whale").serving
    second = notes.reindex(engine="usearch").serving.id
    third = notes.reindex(precision="binary").serving.id
    notes.add([{"id": "late", "text": "a late note about whale"}])
    assert [s.behind for s in notes.servings()] == [0, 0, 0]  # those before follow
    assert notes.rollback().serving.id == second
    assert notes.search("late note").results[0].id == "late"
    assert notes.rollback().serving.id == first
    with pytest.raises(BadInput, match="no earlier serving"):
        notes.rollback()
    notes.promote(third)
    assert notes.rollback().serving.id == first
    with pytest.raises(BadInput, match=rf"no serving 99; there are: {first}, {second}, {third}"):
        notes.promote(99)


def test_a_dropped_generation_is_gone(notes):
    first = generations(notes)[0].id
    with pytest.raises(BadInput, match=f"generation {first} .* is live"):
        notes.drop_generation(first)
    second = notes.reindex(precision="binary").generation.id
    assert notes.drop_generation(first) == 300
    assert [g.id for g in generations(notes)] == [second]
    with pytest.raises(BadInput, match="no earlier serving"):
        notes.rollback()
    with pytest.raises(BadInput, match=f"no generation {first}; there are: {second}"):
        notes.drop_generation(first)
    assert notes.verify().clean
    views = [path.name for path in (notes._session.place.views / "vectors").iterdir()]
    assert [name for name in views if name.startswith(f"{first}-")] == []


def test_two_orders_of_one_corpus_give_identical_codes(home):
    with Collection.create("a", home=home) as a, Collection.create("b", home=home) as b:
        a.add(note(number) for number in range(200))
        for number in reversed(range(200)):
            b.add([note(number)])
        assert codes(a) == codes(b)
        a.reindex()
        b.reindex()
        assert codes(a) == codes(b)


def test_another_process_notices_the_swap(notes, home):
    with Collection.open("notes", home=home) as other:
        before = other.search("whale").serving
        notes.reindex(precision="binary")
        after = other.search("whale")
        assert after.serving != before
        assert other.add([{"id": "other", "text": "the other writes about whale"}]).added == 1
        notes.rollback()
        assert other.search("the other writes").serving == before
        assert "other" in {r.id for r in other.search("the other writes", mode="semantic")}
    assert notes.verify().clean


def test_a_reindex_without_room_begins_nothing(notes, monkeypatch):
    import shutil
    from types import SimpleNamespace

    plan = notes.plan_reindex(precision="float32")
    assert plan.bytes_needed > 300 * 256 * 4
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=plan.bytes_needed - 1))
    with pytest.raises(DiskFull, match=r"at least .* MiB needed"):
        notes.reindex(precision="float32")
    assert len(generations(notes)) == 1


def test_a_relocated_model_is_found_at_its_new_place(home, tmp_path):
    from shutil import copytree, move

    from stlib.runtime import default_model_path

    copytree(default_model_path(), tmp_path / "model")
    # Other words in the card make no other model: the fingerprint is that of the bundled one.
    with Collection.create("c", tmp_path / "model", home=home) as collection:
        collection.add([note(1)])
    move(tmp_path / "model", tmp_path / "moved")
    with Collection.open("c", home=home) as collection:
        collection.relocate_model(tmp_path / "moved")
        assert collection.info().model == str(tmp_path / "moved")
        assert len(collection.search("iron")) == 1


def test_the_numbers_of_what_was_dropped_are_not_given_again(notes, home):
    with Collection.open("notes", home=home) as other:
        second = notes.reindex(precision="binary")
        assert other.search("whale").serving == second.serving.id
        notes.rollback()
        notes.drop_generation(second.generation.id)
        third = notes.reindex(precision="float32")
        assert third.serving.id > second.serving.id
        assert third.generation.id > second.generation.id
        assert [len(serving.promotions) for serving in notes.servings()] == [2, 1]
        assert answers(other) == answers(notes)


def test_what_is_so_already_is_left_as_it_is(notes):
    first = notes.reindex(precision="binary", engine="usearch", ranking={"weights": {"keyword": 0.5}})
    again = notes.reindex(precision="binary", engine="usearch", ranking={"weights": {"keyword": 0.5}})
    assert (again.work, again.promoted, again.serving, again.documents) == ("none", True, first.serving, 0)
    assert notes.reindex(chunk=ChunkSettings()).serving == first.serving
    assert len(notes.servings()) == 2
    with pytest.raises(BadInput, match="give ChunkSettings"):
        notes.reindex(chunk=(10, 2))
