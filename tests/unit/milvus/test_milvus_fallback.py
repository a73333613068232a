"""Collections whose vectors are in a cluster, over the wire, and searches while it is away."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from pymilvus.grpc_gen import common_pb2

from indexing import Collection
from indexing.errors import MilvusFailed, MilvusUnavailable
from indexing.milvus import connection as connection_module
from indexing.milvus.client import disconnect
from indexing.quantization import normalize
from indexing.vectors.milvus import MilvusIndex
from indexing.views.milvus_reader import AWAY
from tests.unit.milvus.fake_milvus import late

DIMENSION = 16


@pytest.fixture(autouse=True)
def environment(port, monkeypatch):
    monkeypatch.setenv("STLIB_MILVUS", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("STLIB_MILVUS_SECONDS", "0.5")
    monkeypatch.setattr(connection_module, "FIRST_REST", 60.0)
    monkeypatch.setattr(MilvusIndex, "scan_rows", 20)
    monkeypatch.setattr(MilvusIndex, "_first_count", lambda self, k: 50)
    yield
    disconnect()


@pytest.fixture
def make(home):
    """Makes a collection of documents whose vectors are brought."""
    made = []

    def make(precision="float32", engine="milvus", name="wired", rows=440):
        collection = Collection.create(
            name, home=home, dimension=DIMENSION, precision=precision, engine=engine
        )
        made.append(collection)
        vectors = normalize(np.random.default_rng(3).standard_normal((rows, DIMENSION)))
        documents = [
            {"id": str(at), "text": f"number {at}", "metadata": {"even": at % 2 == 0}} for at in range(rows)
        ]
        collection.add(documents, vectors=vectors)
        assert collection.refresh()
        return collection, vectors

    yield make
    for collection in made:
        collection.close()


def ask(collection, vector, mode="semantic", **more):
    return collection.search("number 3" if mode == "hybrid" else "", vector=vector, mode=mode, k=10, **more)


def equal(one, other):
    assert ids(one) == ids(other)


def same_of_bits(one, other):
    """Sixteen bits find not quite the same rows; what both find has the same score."""
    scores = dict(ids(one))
    shared = {id_: score for id_, score in ids(other) if id_ in scores}
    assert len(shared) >= 4
    assert all(scores[id_] == score for id_, score in shared.items())


def ids(results):
    return [(result.id, result.score) for result in results]


@pytest.mark.parametrize("precision", ["float32", "int8", "binary"])
def test_a_cluster_and_faiss_give_the_same_answers(make, fake, precision):
    """All types of vectors: what is proposed is scored by the codes of the catalog."""
    collection, vectors = make(precision)
    other, _ = make(precision, "faiss", "beside")
    assert not fake.of("Search")
    collection.delete([str(at) for at in range(0, 30, 3)])
    other.delete([str(at) for at in range(0, 30, 3)])
    asked = len(fake.of("Search"))
    same = same_of_bits if precision == "binary" else equal
    for vector in vectors[:5]:
        same(ask(collection, vector), ask(other, vector))
        same(ask(collection, vector, filter="even = true"), ask(other, vector, filter="even = true"))
    assert len(fake.of("Search")) - asked == 10


def test_away_without_files_is_an_error_that_names_milvus(make, fake):
    collection, vectors = make()
    assert ask(collection, vectors[0]).results[0].id == "0"
    fake.server.stop(None).wait(2)
    with pytest.raises(MilvusUnavailable, match=r"Milvus at http://127\.0\.0\.1"):
        ask(collection, vectors[0])
    assert collection.search("number 3", mode="keyword").results


def say(code, reason, of=None):
    """For `FakeMilvus.before`: what is answered to the method `of`, or to all."""
    status = common_pb2.Status(code=code, reason=reason)
    return lambda method, request, context: status if of in (None, method) else None


@pytest.mark.parametrize(
    ("variables", "answer", "said"),
    [
        ({}, say(800, "database not found[database=tema]"), "database not found"),
        ({}, say(65535, "privilege Query is not permitted", "Query"), "not permitted"),
        ({"VECTORS": "int8"}, None, "STLIB_MILVUS_VECTORS=int8"),
        ({"VECTORS": "int4"}, None, "STLIB_MILVUS_VECTORS='int4'"),
        ({"TOKEN_FILE": "/no/such/file"}, None, "/no/such/file cannot be read"),
        ({"CA": "/no/such/file"}, None, "there is no file"),
    ],
)
def test_what_milvus_refuses_or_is_said_wrongly_of_it_hinders_nothing_else(
    make, fake, home, monkeypatch, variables, answer, said
):
    collection, vectors = make()
    collection.close()
    for name, value in variables.items():
        monkeypatch.setenv(f"STLIB_MILVUS_{name}", value)
    fake.before = answer or fake.before
    with Collection.open("wired", home=home) as again:
        assert again.search("number 3", mode="keyword").results[0].id == "3"
        again.add([{"id": "new", "text": "zebra"}], vectors=vectors[:1])
        assert [one.id for one in again.search("zebra", mode="keyword").results] == ["new"]
        with pytest.raises(MilvusFailed, match=said):
            ask(again, vectors[0])
        with pytest.raises(MilvusFailed, match=said):
            again.refresh()
        assert said in " ".join(again.verify().errors)


@pytest.mark.parametrize("method", ["CreateIndex", "LoadCollection"])
def test_one_that_was_only_begun_is_made_anew(make, fake, home, method):
    """As a cluster has it when its maker was killed: one without an index cannot be loaded, and says so."""
    fake.before = say(1100, "the maker ends here", method)
    with pytest.raises(MilvusFailed, match="the maker ends here"):
        make()
    begun, fake.before = list(fake.schemas), lambda *_: None
    assert len(begun) == 1
    with Collection.open("wired", home=home) as again:
        vector = normalize(np.random.default_rng(3).standard_normal((440, DIMENSION)))[5]
        assert ask(again, vector).results[0].id == "5"
        assert again.refresh()
        assert ask(again, vector).results[0].id == "5"
        assert again.verify().clean
    assert len(fake.schemas) == 1


def test_a_new_one_that_was_only_begun_hinders_not_the_one_that_serves(make, fake):
    collection, vectors = make()
    (name,) = fake.schemas
    view = collection._views.vectors(collection._session.live())
    fake.before = say(1100, "the maker ends here", "CreateIndex")
    with pytest.raises(MilvusFailed, match="the maker ends here"):
        view.renew()
    assert len(fake.schemas) == 2
    fake.before, asked = (lambda *_: None), len(fake.of("Search"))
    assert ask(collection, vectors[5]).results[0].id == "5"
    assert len(fake.of("Search")) > asked
    view.renew()
    assert len(fake.schemas) == 1
    assert name not in fake.schemas
    assert ask(collection, vectors[5]).results[0].id == "5"


def test_what_milvus_refuses_is_answered_from_files(make, fake, monkeypatch):
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    collection, vectors = make()
    expected = ids(ask(collection, vectors[0]))
    fake.before = say(65535, "privilege Search is not permitted", "Search")
    found = ask(collection, vectors[0])
    assert (ids(found), AWAY in found.notes) == (expected, True)


def test_away_with_files_they_answer_with_a_note(make, fake, monkeypatch, home):
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    collection, vectors = make()
    expected = ids(ask(collection, vectors[0]))
    fake.server.stop(None).wait(2)
    found = ask(collection, vectors[0])
    assert ids(found) == expected
    assert AWAY in found.notes
    collection.delete(["0"])
    found = ask(collection, vectors[0])
    assert found.results[0].id == expected[1][0]
    assert AWAY in ask(collection, vectors[0], "hybrid").notes
    assert AWAY not in collection.search("number 3", mode="keyword").notes


def test_the_note_is_of_the_search_that_was_answered_from_files(make, fake, monkeypatch):
    """Two at once share a reader: one is answered by Milvus while the other is not."""
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    collection, vectors = make()
    reader = collection._views.readers(collection._session.live()).vectors
    ask_milvus, away = MilvusIndex.search, MilvusFailed("Milvus is away")
    inside, answered = threading.Event(), threading.Event()

    def search(self, query, k, allowed=None):
        if np.array_equal(query, vectors[0]):
            raise away
        inside.set()
        assert answered.wait(20)
        return ask_milvus(self, query, k, allowed)

    monkeypatch.setattr(MilvusIndex, "search", search)
    with ThreadPoolExecutor(1) as other:
        slow = other.submit(reader.search, vectors[1], 3)
        assert inside.wait(20)
        hits = reader.search(vectors[0], 3)
        answered.set()
        assert (hits.note, slow.result().note) == (AWAY, "")
        assert (hits.documents[0], slow.result().documents[0]) == (1, 2)


def test_a_slow_milvus_is_waited_for_once(make, fake, monkeypatch):
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    collection, vectors = make()
    expected = ids(ask(collection, vectors[0]))
    assert fake.of("Search")
    fake.before = late(0.8)
    found = ask(collection, vectors[0])
    assert ids(found) == expected
    assert AWAY in found.notes
    asked = len(fake.requests)
    assert AWAY in ask(collection, vectors[1]).notes
    assert len(fake.requests) == asked


def test_files_are_not_kept_unless_it_is_asked_for(make, home, monkeypatch):
    def folders():
        return sorted({path.name.split("-")[1] for path in home.glob("**/views/vectors/*-*-*")})

    collection, _ = make(rows=300)
    assert folders() == []
    monkeypatch.setenv("STLIB_MILVUS_FALLBACK", "local")
    assert collection.refresh()
    assert folders() == ["faiss"]
