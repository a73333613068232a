"""The promises of `Collection`, on the bundled model and real engines."""

from __future__ import annotations

import gc
import json
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing

import numpy as np
import pytest

import indexing.verify
from indexing import ChunkSettings, Collection
from indexing.catalog.collections import read_state
from indexing.encoders import load_encoder, normalised
from indexing.errors import (
    BadInput,
    CollectionExists,
    FilterError,
    LockedError,
    ModelMismatch,
    StorageError,
    UnknownCollection,
)
from indexing.facets import FacetCounts
from indexing.files import FolderLock
from indexing.lexical import LexicalSnapshot
from indexing.listing import list_collections
from indexing.search.plan import Plan
from indexing.verify import verify

ANIMALS = [
    {
        "id": "whale",
        "title": "Whale",
        "text": "Whales breathe air through a blowhole.",
        "metadata": {"legs": 0, "tags": ["sea", "mammal"]},
    },
    {
        "id": "bee",
        "title": "Bee",
        "text": "Bees make honey and dance to show where flowers are.",
        "metadata": {"legs": 6, "tags": ["air"]},
    },
    {
        "id": "dog",
        "title": "Dog",
        "text": "Dogs bark at strangers and guard the house.",
        "metadata": {"legs": 4, "tame": True},
    },
    {
        "id": "cat",
        "title": "Cat",
        "text": "Cats purr when they are content.",
        "metadata": {"legs": 4, "tame": True},
    },
]


@pytest.fixture
def animals(home):
    with Collection.create("animals", home=home) as collection:
        collection.add(ANIMALS)
        yield collection


def ids(found):
    return [result.id for result in found.results]


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_right_answer_first_in_every_mode(animals, mode):
    found = animals.search("which animal makes honey", mode=mode)
    assert ids(found)[0] == "bee"
    best = found.results[0]
    assert (best.title, best.text, best.metadata) == ("Bee", ANIMALS[1]["text"], ANIMALS[1]["metadata"])
    marked = {best.snippet.text[a:b] for a, b in best.snippet.highlights}
    assert "honey" in marked


def test_semantic_scores_are_cosines_of_decoded_codes(animals):
    encoder = load_encoder(None)
    query = normalised(encoder.encode_query(["honey"]))[0]
    texts = [f"{d['title']}\n{d['text']}" for d in ANIMALS]
    exact = normalised(encoder.encode_document(texts)) @ query
    found = animals.search("honey", mode="semantic")
    scores = {r.id: r.score for r in found.results}
    np.testing.assert_allclose([scores[d["id"]] for d in ANIMALS], exact, atol=0.02)
    assert ids(found) == [ANIMALS[i]["id"] for i in np.argsort(-exact)]


def test_k_beyond_the_collection_returns_everything_once(animals):
    assert sorted(ids(animals.search("animal", 50, mode="semantic"))) == ["bee", "cat", "dog", "whale"]
    assert ids(animals.search("purr", 50, mode="keyword")) == ["cat"]


def test_unchanged_documents_are_not_embedded_again(home):
    calls = []

    class Counting:
        def __init__(self):
            self._inner = load_encoder(None)

        def __getattr__(self, name):
            return getattr(self._inner, name)

        name = property(lambda self: self._inner.name)
        dimension = property(lambda self: self._inner.dimension)
        fingerprint = property(lambda self: self._inner.fingerprint)

        def encode_document(self, texts, **options):
            calls.extend(texts)
            return self._inner.encode_document(texts, **options)

        def encode_query(self, texts, **options):
            return self._inner.encode_query(texts, **options)

        def token_spans(self, texts):
            return self._inner.token_spans(texts)

    collection = Collection.create("c", Counting(), home=home)
    first = collection.add(ANIMALS)
    assert (first.added, first.updated, first.unchanged, len(calls)) == (4, 0, 0, 4)
    changed = [*ANIMALS[:3], {**ANIMALS[3], "text": "Cats hunt mice."}]
    second = collection.add(changed)
    assert (second.added, second.updated, second.unchanged) == (0, 1, 3)
    assert calls[4:] == ["Cat\nCats hunt mice."]
    assert ids(collection.search("who hunts mice"))[0] == "cat"
    assert ids(collection.search("purr", mode="keyword")) == []


def test_changed_metadata_alone_is_an_update(animals):
    report = animals.add([{**ANIMALS[0], "metadata": {"legs": 1}}])
    assert report.updated == 1
    assert ids(animals.search("air", filter="legs = 1")) == ["whale"]


def test_last_of_duplicate_ids_wins_and_is_said(home):
    collection = Collection.create("c", home=home)
    report = collection.add(
        [{"id": "1", "text": "old words"}, {"id": "2", "text": "x"}, {"id": "1", "text": "new words"}]
    )
    assert (report.received, report.added, report.duplicates) == (3, 2, 1)
    assert [(r.id, r.text) for r in collection.search("words", mode="keyword").results] == [
        ("1", "new words")
    ]


def test_deleted_documents_are_gone_from_every_mode_and_can_return(animals):
    assert animals.delete(["bee", "nobody", "bee"]) == ["bee"]
    for mode in ("hybrid", "semantic", "keyword"):
        assert "bee" not in ids(animals.search("honey flowers", 10, mode=mode))
    assert animals.delete(["bee"]) == []
    assert animals.add(ANIMALS).added == 1
    assert ids(animals.search("honey flowers"))[0] == "bee"
    assert animals.verify().clean


def test_deleted_text_is_not_left_in_the_catalog(animals, home):
    animals.delete(["whale"])
    animals.close()
    with closing(sqlite3.connect(home / "collections/animals/catalog.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"blowhole" not in (home / "collections/animals/catalog.sqlite").read_bytes()


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ("legs = 4", {"dog", "cat"}),
        ("legs > 0 and not tame = true", {"bee"}),
        ("tags = 'sea'", {"whale"}),
        ("tame = null", {"whale", "bee"}),
        ("legs in (0, 6)", {"whale", "bee"}),
        ("legs = 99", set()),
    ],
)
def test_filters_hold_in_every_mode(animals, filter, expected):
    assert set(ids(animals.search("animal", mode="semantic", filter=filter))) == expected
    assert set(ids(animals.search("breathe honey bark purr", mode="keyword", filter=filter))) == expected
    assert set(ids(animals.search("breathe honey bark purr", filter=filter))) == expected


@pytest.mark.parametrize("mode", ["hybrid", "semantic", "keyword"])
def test_a_document_that_changes_during_a_search_must_still_match(animals, home, monkeypatch, mode):
    query = "breathe honey bark purr"
    animals.search(query, mode=mode)
    rank = Plan.rank

    def after_a_change(self, *arguments):
        monkeypatch.undo()
        found = rank(self, *arguments)
        with Collection.open("animals", home=home) as other:
            other.add([{**ANIMALS[2], "metadata": {"legs": 3}}])
            other.refresh()
        return found

    monkeypatch.setattr(Plan, "rank", after_a_change)
    found = animals.search(query, 2, mode=mode, filter="legs >= 4")
    assert {r.id: r.metadata["legs"] for r in found.results} == {"cat": 4, "bee": 6}


def test_a_misspelt_field_in_a_filter_is_hinted_at(animals):
    assert animals.search("honey", filter="legs = 6 or tags = 'air'").notes == []
    assert animals.search("honey", filter="Legs = 6").notes == [
        "no document has the field 'Legs'; did you mean 'legs'?"
    ]
    for _ in range(2):  # looked up, and remembered
        assert animals.search("honey", filter="not (tag = 'air' or tame = true)").notes == [
            "no document has the field 'tag'; did you mean 'tags'?"
        ]
    assert animals.search("honey", filter="colour != 'x' and colour != 'y'").notes == [
        "no document has the field 'colour'; there are: legs, tags, tame"
    ]


def test_filter_returns_as_many_as_match(home):
    collection = Collection.create("c", home=home)
    collection.add(
        {"id": str(i), "text": f"text number {i}", "metadata": {"odd": i % 2 == 1, "i": i}}
        for i in range(3000)
    )
    for mode in ("semantic", "keyword", "hybrid"):
        assert len(ids(collection.search("text number", 40, mode=mode, filter="odd = true"))) == 40
        assert set(ids(collection.search("text number", 40, mode=mode, filter="i >= 2990"))) == {
            str(i) for i in range(2990, 3000)
        }


def test_facets_count_values(animals):
    facets = animals.facets()
    assert facets["legs"].values == [(4, 2), (0, 1), (6, 1)]
    assert facets["tags"].values == [("air", 1), ("mammal", 1), ("sea", 1)]
    assert (facets["tame"].values, facets["tame"].documents) == ([(True, 2)], 2)


def test_facets_of_many_values_are_counted_in_bounded_memory(home, monkeypatch):
    monkeypatch.setattr("indexing.facets.MAX_VALUES", 50)
    monkeypatch.setattr("indexing.facets.MAX_FIELDS", 3)
    monkeypatch.setattr("indexing.facets.BATCH_DOCUMENTS", 64)
    with Collection.create("c", home=home) as collection:
        collection.add(
            {
                "id": str(i),
                "text": "x",
                "metadata": {"a": i, "b": i % 2 == 0, "c": "long " * 100 + str(i % 3), f"z{i}": 1},
            }
            for i in range(300)
        )
        facets = collection.facets()
        assert list(facets) == ["a", "b", "c"]
        assert (facets["a"].distinct, facets["a"].documents, facets["a"].complete) == (50, 300, False)
        assert facets["b"] == FacetCounts([(False, 150), (True, 150)], 2, 300)
        assert facets["c"] == FacetCounts([], 3, 300)


@pytest.mark.parametrize(
    "filter", ["tags = '\udcff\x00'", '"\ud800" = 1', f"legs in ({','.join('6' * 500)})"]
)
def test_odd_filters_are_answered(animals, filter):
    assert set(ids(animals.search("honey", filter=filter))) <= {"bee"}


def test_odd_ids_are_no_documents(animals):
    assert animals.delete(["\udcff", "\x00", 7]) == []
    animals.add([{"id": 7, "text": "seven"}])
    assert animals.delete([7]) == ["7"]


def test_wrong_filter_names_the_position(animals):
    with pytest.raises(FilterError, match="position 6") as caught:
        animals.search("x", filter="legs 4")
    assert caught.value.position == 5


@pytest.mark.parametrize(
    ("arguments", "message"), [(("x", 0), "k = 0"), (("x", 2.5), "k = 2.5"), ((3,), "query of type int")]
)
def test_bad_requests(animals, arguments, message):
    with pytest.raises(BadInput, match=message):
        animals.search(*arguments)
    with pytest.raises(BadInput, match="mode 'fuzzy': use one of hybrid, semantic, keyword"):
        animals.search("x", mode="fuzzy")


@pytest.mark.parametrize(
    "query", ["", "  ", "?!", "🙂", "a" * 100_000, "the of and", "\x00", "\ud800", "AND OR NOT (((", '"']
)
def test_odd_queries_are_answered(animals, query):
    for mode in ("hybrid", "semantic", "keyword"):
        assert len(ids(animals.search(query, 3, mode=mode))) <= 3


def test_a_bad_document_stops_there_and_keeps_what_came_before(home):
    collection = Collection.create("c", home=home)
    with pytest.raises(BadInput, match=r"document 1: .*'text'"):
        collection.add(
            [{"id": "1", "text": "kept"}, {"id": "2", "text": 3}, {"id": "3", "text": "never seen"}]
        )
    assert ids(collection.search("kept")) == ["1"]
    report = collection.add([{"id": "2"}, {"id": "3", "text": "stored"}], on_error="skip")
    assert (report.added, report.skipped, str(report.skips[0])[:11]) == (1, 1, "document 0:")


def test_add_wants_an_iterable_of_documents(animals):
    with pytest.raises(BadInput, match="pass a list"):
        animals.add({"id": "1", "text": "x"})


def test_a_generator_that_fails_keeps_what_was_committed(home):
    def documents():
        for i in range(1500):
            yield {"id": str(i), "text": f"number {i}"}
        raise RuntimeError("the source broke")

    collection = Collection.create("c", home=home)
    with pytest.raises(RuntimeError, match="the source broke"):
        collection.add(documents())
    assert collection.info()["documents"] == 1024
    assert collection.verify().clean


def test_open_lists_the_known_collections(animals, home):
    with pytest.raises(UnknownCollection, match="no collection 'x'; there are: animals"):
        Collection.open("x", home=home)
    with pytest.raises(UnknownCollection, match="there are: none yet"):
        Collection.open("x", home=home / "elsewhere")
    with pytest.raises(CollectionExists, match="'animals' exists already"):
        Collection.create("animals", home=home)


def test_a_collection_whose_making_was_killed_can_be_made_again(animals, home):
    for name, content in (("empty", b""), ("no-row", None)):
        folder = home / "collections" / name
        folder.mkdir()
        if content is None:
            with closing(sqlite3.connect(folder / "catalog.sqlite")) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
        else:
            (folder / "catalog.sqlite").write_bytes(content)
        assert Collection.list(home=home) == ["animals"]
        with pytest.raises(UnknownCollection, match="there are: animals"):
            Collection.open(name, home=home)
        with Collection.create(name, home=home) as collection:
            collection.add(ANIMALS[:1])
            assert ids(collection.search("air")) == ["whale"]
        Collection.open(name, home=home).drop()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 65, "naïve", None])
def test_names_that_cannot_be_folders_are_refused(home, name):
    with pytest.raises(BadInput, match="collection name"):
        Collection.create(name, home=home)


def test_another_model_is_refused_and_named(animals, home):
    class Other:
        name = "other-model"
        dimension = 3
        fingerprint = "0" * 64

        def encode_query(self, texts, **options):
            return np.ones((len(texts), 3), np.float32)

        encode_document = encode_query

        def token_spans(self, texts):
            return [np.empty((0, 2), np.int32) for _ in texts]

    with pytest.raises(
        ModelMismatch, match=r"made with stlib-static-en .* but this is other-model \(3 dimensions"
    ):
        Collection.open("animals", home=home, model=Other())


def test_a_second_writer_is_told_at_once(animals, home):
    with FolderLock(home / "collections/animals/locks", "documents.lock"):
        with pytest.raises(LockedError, match="collection 'animals' is being written by"):
            animals.add([{"id": "1", "text": "x"}])
        with pytest.raises(LockedError):
            animals.delete(["bee"])
        assert ids(animals.search("honey"))[0] == "bee"


def test_another_process_sees_what_was_committed(animals, home):
    animals.search("honey")  # opens the views
    code = (
        "from indexing import Collection;"
        f"Collection.open('animals', home={str(home)!r}).add([{{'id': 'ant', 'text': 'Ants carry leaves'}}])"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert ids(animals.search("ants carry leaves", mode="semantic"))[0] == "ant"
    while animals.search("ants carry leaves", mode="keyword").keyword_lag:
        time.sleep(0.05)  # a process that only searches follows the words at its leisure, and says so
    for mode in ("keyword", "hybrid"):
        assert ids(animals.search("ants carry leaves", mode=mode))[0] == "ant"


def test_reopened_collection_answers_the_same(animals, home):
    before = [(r.id, r.score) for r in animals.search("guard the house").results]
    with Collection.open("animals", home=home) as again:
        assert [(r.id, r.score) for r in again.search("guard the house").results] == before


def test_views_change_nothing_but_speed(animals):
    """Rows in the exactly scanned tail and rows in the snapshot score alike."""
    before = [
        [(r.id, r.score) for r in animals.search("who barks", mode=m).results] for m in ("semantic", "hybrid")
    ]
    assert animals.refresh()
    after = [
        [(r.id, r.score) for r in animals.search("who barks", mode=m).results] for m in ("semantic", "hybrid")
    ]
    assert after == before


def test_database_url_holds_several_collections(tmp_path):
    db = f"sqlite:///{tmp_path / 'all.db'}"
    for name in ("one", "two"):
        with Collection.create(name, db=db) as collection:
            collection.add([{"id": "1", "text": f"text of {name}"}])
    assert Collection.list(db=db) == ["one", "two"]
    with Collection.open("one", db=db) as one:
        assert one.search("text").results[0].text == "text of one"
        one.drop()
    assert Collection.list(db=db) == ["two"]
    with Collection.open("two", db=db) as two:
        assert two.search("text", mode="keyword").results[0].text == "text of two"
        assert two.verify().clean
    with pytest.raises(StorageError, match="give a SQLite file"):
        Collection.create("x", db="postgresql://localhost/x")


def test_drop_leaves_nothing(animals, home):
    animals.drop()
    assert Collection.list(home=home) == []
    assert list((home / "collections").iterdir()) == []


def test_a_file_that_is_no_database_is_reported(home):
    (home / "collections/x").mkdir(parents=True)
    (home / "collections/x/catalog.sqlite").write_bytes(b"no database at all, " * 100)
    with pytest.raises(StorageError, match="is damaged or not a database"):
        Collection.open("x", home=home)


@pytest.mark.parametrize("end", [100, 5000])
def test_a_damaged_catalog_does_not_hide_the_others(animals, home, end):
    """Torn in its header, or behind it."""
    Collection.create("torn", home=home).close()
    catalog = home / "collections/torn/catalog.sqlite"
    catalog.write_bytes(b"\xff" * end + catalog.read_bytes()[end:])
    assert Collection.list(home=home) == ["animals"]
    assert [(name, "is damaged" in why) for name, why in list_collections(home).damaged.items()] == [
        ("torn", True)
    ]
    with pytest.raises(UnknownCollection, match=r"no collection 'x'; there are: animals; damaged: torn"):
        Collection.open("x", home=home)
    assert Collection.list(home=home) == ["animals"]
    with pytest.raises(StorageError, match="is damaged"):
        Collection.open("torn", home=home)


def test_long_document_is_found_by_its_passage(home):
    filler = "The weather was ordinary that day and nobody wrote about it. " * 400
    text = filler + "The password for the vault is written under the blue vase. " + filler
    collection = Collection.create("c", home=home, chunk=ChunkSettings(max_tokens=64, overlap=8))
    collection.add([{"id": "diary", "text": text}, {"id": "other", "text": filler}])
    found = collection.search("where is the vault password", mode="semantic")
    assert ids(found)[0] == "diary"
    assert "under the blue vase" in found.results[0].snippet.text


@pytest.mark.parametrize("engine", ["faiss", "usearch"])
@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
def test_every_engine_and_precision_answers(home, engine, precision):
    with Collection.create("c", home=home, engine=engine, precision=precision) as collection:
        collection.add(ANIMALS)
        collection.refresh()
        assert ids(collection.search("honey flowers", mode="semantic"))[0] == "bee"
    with Collection.open("c", home=home) as again:
        assert ids(again.search("honey flowers", mode="semantic"))[0] == "bee"


def test_evaluate_runs_through_the_index(animals):
    queries = {"q1": "honey", "q2": "barking at strangers", "q3": "not judged"}
    qrels = {"q1": {"bee": 1}, "q2": {"dog": 2, "gone": 1}}
    report = animals.evaluate(queries, qrels, mode="semantic")
    assert (report.queries, report.missing_documents, report.metrics["MRR@10"]) == (2, 1, 1.0)
    restricted = animals.evaluate(queries, {"q1": {"bee": 1}}, mode="semantic", corpus_ids=["dog", "cat"])
    assert restricted.metrics["Recall@100"] == 0.0


def test_shares_add_up_to_the_score_of_a_hybrid_result(animals):
    found = animals.search("guard the house", 10).results
    assert len(found) == 4
    for r in found:
        assert r.parts["semantic_share"] + r.parts["keyword_share"] == pytest.approx(r.score, abs=1e-5)
    assert (found[0].id, found[0].parts["keyword_rank"], found[1].parts["keyword_rank"]) == ("dog", 1, None)
    assert found[0].parts["keyword_share"] > 0 == found[1].parts["keyword_share"]


def test_results_are_json(animals):
    found = animals.search("honey", 1).to_dict()
    assert set(found) == {"query", "took_ms", "results"}
    assert set(found["results"][0]) == {"id", "score", "title", "text", "snippet", "metadata", "parts"}
    assert json.loads(json.dumps(found)) == found


def test_search_imports_neither_torch_nor_alembic(animals, home):
    code = (
        "import sys; from indexing import Collection;"
        f"c = Collection.open('animals', home={str(home)!r}); r = c.search('honey');"
        "assert r.results[0].id == 'bee';"
        "print([m for m in ('torch', 'transformers', 'alembic', 'streamlit', 'usearch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert out.stdout == "[]\n"


def test_a_collection_that_is_forgotten_closes_its_database(home):
    collection = Collection.create("c", home=home)
    collection.add(ANIMALS)
    collection.search("honey")
    pool = collection._engine.pool
    assert pool.checkedin() > 0
    del collection
    gc.collect()
    assert pool.checkedin() == 0


def test_a_folder_may_have_any_name(tmp_path):
    home = tmp_path / "what? 100% #1 [notes]"
    with Collection.create("animals", home=home) as collection:
        collection.add(ANIMALS)
        assert ids(collection.search("honey"))[0] == "bee"
    assert [path.name for path in tmp_path.iterdir()] == [home.name]


@pytest.mark.parametrize(
    "use",
    [
        lambda collection: collection.search("honey"),
        lambda collection: collection.add(ANIMALS),
        lambda collection: collection.delete(["bee"]),
        lambda collection: collection.info(),
        lambda collection: collection.verify(),
        lambda collection: collection.evaluate({"q": "honey"}, {"q": {"bee": 1}}),
        lambda collection: collection.facets(),
        lambda collection: collection.drop(),
    ],
)
def test_a_deleted_collection_does_not_become_the_next_one(tmp_path, use):
    db = f"sqlite:///{tmp_path}/all.db"
    with Collection.create("old", db=db) as old, Collection.open("old", db=db) as other:
        old.add(ANIMALS)
        old.drop()
        with Collection.create("new", db=db, precision="float32") as new:
            new.add(ANIMALS)
            with pytest.raises(UnknownCollection, match="'old' was deleted meanwhile"):
                use(other)
            assert new.info()["documents"] == len(ANIMALS)
            assert new.verify().clean


def test_a_collection_deleted_by_another_process_leaves_nothing_behind(home):
    with Collection.create("c", home=home) as collection, Collection.open("c", home=home) as other:
        other.drop()
        for use in (lambda: collection.add(ANIMALS), lambda: collection.search("honey"), collection.info):
            with pytest.raises(UnknownCollection, match="'c' was deleted meanwhile"):
                use()
    assert list((home / "collections").iterdir()) == []


def test_a_collection_is_not_made_while_one_of_its_name_is_deleted(home):
    with (
        FolderLock(home / "collections" / "c" / "locks", "documents.lock"),
        pytest.raises(LockedError, match=r"collection 'c' is being written by process"),
    ):
        Collection.create("c", home=home)


def test_a_collection_that_is_being_written_exists(animals, home):
    with (
        FolderLock(home / "collections" / "animals" / "locks", "documents.lock"),
        pytest.raises(CollectionExists, match="'animals' exists already"),
    ):
        Collection.create("animals", home=home)


def test_an_empty_collection_is_dropped_only_while_it_is_empty(home):
    with Collection.create("c", home=home) as collection, Collection.open("c", home=home) as other:
        other.add(ANIMALS)
        assert not collection.drop(only_if_empty=True)
        assert ids(collection.search("honey", 1)) == ["bee"]
        other.delete(animal["id"] for animal in ANIMALS)
        assert collection.drop(only_if_empty=True)
    assert Collection.list(home=home) == []


def test_a_commit_while_the_views_are_published_is_in_them_once(animals, home):
    with Collection.open("animals", home=home) as other:
        state, codec = other._state(), other._codec
        animals.add([{"id": "owl", "text": "Owls hunt at night."}])  # after the other one looked at the log
        other._views.publish(state, codec)
        assert other.verify().clean
        animals.delete(["dog"])
        assert other.refresh()
        assert other.verify().clean
        assert sorted(ids(other.search("animal", mode="semantic"))) == ["bee", "cat", "owl", "whale"]


def test_a_commit_while_the_collection_is_verified_is_no_error(animals, home):
    with Collection.open("animals", home=home) as other:
        state = other._state()
        animals.add([{"id": "owl", "text": "Owls hunt at night."}])  # after the other one looked at the log
        report = verify(other._engine, state, other._views, other._lock)
        assert report.clean, report
        assert report.documents == 5


def test_the_first_commit_while_the_collection_is_verified_is_no_error(home):
    with (
        Collection.create("animals", home=home) as collection,
        Collection.open("animals", home=home) as other,
    ):
        state = other._state()
        collection.add(ANIMALS)  # calibrates the codes
        report = verify(other._engine, state, other._views, other._lock)
        assert report.clean, report
        assert (report.documents, report.chunks) == (4, 4)
        assert ids(other.search("honey", 1)) == ["bee"]


def test_a_collection_deleted_while_it_is_verified_is_said(animals, home):
    state = animals._state()
    with Collection.open("animals", home=home) as other:
        other.drop()
    with pytest.raises((UnknownCollection, StorageError)):
        verify(animals._engine, state, animals._views, animals._lock)


def test_readers_may_be_forgotten_while_they_are_made(animals, monkeypatch):
    """As a thread that adds documents does beside one that searches."""
    words = animals._views.words
    newest = words.newest

    def forgotten():
        animals._views.forget()
        return newest()

    monkeypatch.setattr(words, "newest", forgotten)
    assert ids(animals.search("honey", 1)) == ["bee"]


def test_info_is_of_one_moment(animals, home, monkeypatch):
    """A collection that is deleted while it is described is described as it was."""

    def then_deleted(connection, collection_id):
        state = read_state(connection, collection_id)
        monkeypatch.undo()
        with Collection.open("animals", home=home) as other:
            other.drop()
        return state

    monkeypatch.setattr("indexing.collection.read_state", then_deleted)
    info = animals.info()
    assert (info["documents"], info["chunks"], info["last_seq"]) == (4, 4, 4)
    with pytest.raises(UnknownCollection):
        animals.info()


def test_a_snapshot_replaced_while_it_is_opened_is_no_damage(animals, home, monkeypatch, caplog):
    """Between looking for the newest one and opening it, another process publishes the next."""
    animals.refresh()
    with Collection.open("animals", home=home) as other:
        other_open = LexicalSnapshot.open

        def slow_open(folder):
            monkeypatch.undo()
            animals.add([{"id": "owl", "text": "Owls hunt at night."}])
            animals.refresh()
            return other_open(folder)

        monkeypatch.setattr(LexicalSnapshot, "open", slow_open)
        seq, snapshot = other._views.words.newest()
        assert (seq, len(snapshot)) == (len(ANIMALS) + 1, len(ANIMALS) + 1)
    assert "set aside" not in caplog.text


def test_searching_goes_on_while_another_thread_adds(animals):
    first, go_on = threading.Event(), threading.Event()

    def slowly():
        yield {"id": "owl", "text": "Owls hunt at night."}
        first.set()
        go_on.wait(30)

    adding = threading.Thread(target=animals.add, args=(slowly(),))
    searching = threading.Thread(target=animals.search, args=("honey",), kwargs={"filter": "legs = 6"})
    adding.start()
    assert first.wait(30)
    searching.start()
    searching.join(30)
    went_on = not searching.is_alive()
    go_on.set()
    adding.join(30)
    searching.join(30)
    assert went_on


@pytest.mark.parametrize("step", ["content_problems", "altered_codes"])
def test_searching_goes_on_while_another_thread_verifies(animals, monkeypatch, step):
    animals.refresh()
    reading, go_on = threading.Event(), threading.Event()
    check = getattr(indexing.verify, step)

    def slowly(*arguments):
        reading.set()
        go_on.wait(30)
        return check(*arguments)

    monkeypatch.setattr(indexing.verify, step, slowly)
    verifying = threading.Thread(target=animals.verify)
    verifying.start()
    assert reading.wait(30)
    searching = threading.Thread(target=animals.search, args=("honey",))
    searching.start()
    searching.join(30)
    went_on = not searching.is_alive()
    go_on.set()
    verifying.join(30)
    searching.join(30)
    assert went_on


def test_evaluate_refuses_an_unknown_mode(animals):
    with pytest.raises(BadInput, match="mode 'keywrod': use one of hybrid, semantic, keyword"):
        animals.evaluate({"q": "honey"}, {"q": {"bee": 1}}, mode="keywrod")


def test_the_size_of_a_catalog_is_that_of_its_own_files(tmp_path):
    with Collection.create("animals", db=f"sqlite:///{tmp_path}/notes.db") as collection:
        collection.add(ANIMALS)
        before = collection.info()["catalog_bytes"]
        (tmp_path / "old").mkdir()
        (tmp_path / "old" / "notes.db-backup").write_bytes(bytes(1_000_000))
        assert collection.info()["catalog_bytes"] == before


def test_a_model_that_cannot_be_had_is_one_line(home, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BadInput, match="model 'no-such-model' cannot be loaded") as caught:
        Collection.create("c", "no-such-model", home=home)
    assert "\n" not in str(caught.value)
    assert Collection.list(home=home) == []
