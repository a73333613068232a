"""Collections whose vectors lie in pgvector: from the first document to the last table."""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
import time

import numpy as np
import psycopg
import pytest

from indexing import Collection
from indexing.catalog import following
from indexing.errors import BadInput, LockedError, StorageError
from indexing.names import SERVER_ENGINES
from indexing.vectors.pgvector import PgvectorIndex
from indexing.vectors.vector_table import VectorTable

DIMENSION = 24
ROWS = 400
VECTORS = np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch):
    monkeypatch.setattr(PgvectorIndex, "scan_rows", 50)


@pytest.fixture
def asked(postgres_url):
    """Rows of a statement, as somebody else's connection gets them."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:

        def ask(statement):
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

        yield ask


@pytest.fixture
def collection(tmp_path, postgres_url):
    with Collection.create(
        "c", home=tmp_path, db=postgres_url, dimension=DIMENSION, engine="pgvector", precision="float32"
    ) as made:
        add(made, range(ROWS))
        assert made.refresh()
        yield made


def add(collection, numbers):
    documents = [{"id": f"d{n}", "text": f"text {n}", "metadata": {"n": n % 7}} for n in numbers]
    collection.add(documents, vectors=VECTORS[list(numbers)])


def found(collection, query, k=5, filter=None):
    results = collection.search(vector=VECTORS[query], k=k, mode="semantic", filter=filter).results
    return [result.id for result in results]


def nearest(query, k=5, among=range(ROWS)):
    among = np.asarray(among)
    return [f"d{n}" for n in among[np.argsort(-(VECTORS[among] @ VECTORS[query]), kind="stable")[:k]]]


def tables(asked):
    """Names without their last numbers, which differ each time."""
    names = sorted(
        name for (name,) in asked("SELECT tablename FROM pg_tables") if name.startswith("pgvector")
    )
    return [re.sub(r"(_\d+)_\d+$", r"\1", name) for name in names]


def table(asked):
    [(generation, number)] = asked("SELECT generation_id, number FROM pgvector_view")
    return f"pgvector_{generation}_{number}"


def test_a_table_follows_the_log(collection, asked):
    assert found(collection, 3) == nearest(3)
    assert found(collection, 3, filter="n = 2") == nearest(3, among=range(2, ROWS, 7))
    collection.delete([f"d{n}" for n in range(100)])
    assert found(collection, 3) == nearest(3, among=range(100, ROWS))
    assert collection.refresh()
    assert asked("SELECT change, graph FROM pgvector_view") == [(2, True)]
    assert asked(f"SELECT count(*) FROM {table(asked)}") == [(ROWS - 100,)]
    collection.compact()
    add(collection, range(100))
    assert found(collection, 3) == nearest(3)
    assert (collection.verify().errors, collection.verify().repaired) == ([], [])


def test_faiss_and_pgvector_change_places(tmp_path, postgres_url, asked):
    where = {"home": tmp_path, "db": postgres_url}
    with Collection.create("c", **where, dimension=DIMENSION, precision="float32") as notes:
        add(notes, range(ROWS))
        before = notes.search(vector=VECTORS[9], k=8, mode="semantic")
        notes.reindex(engine="pgvector")
        after = notes.search(vector=VECTORS[9], k=8, mode="semantic")
        assert tables(asked) == ["pgvector_view", "pgvector_1"] or set(tables(asked)) == {
            "pgvector_view",
            "pgvector_1",
        }
        assert [(r.id, r.score) for r in after.results] == [(r.id, r.score) for r in before.results]
        notes.reindex(engine="faiss")
        notes.delete([f"d{n}" for n in range(200)])
        notes.compact()
        assert tables(asked) == ["pgvector_view"]  # what is not served does not hold back what is forgotten
        notes.rollback()
        assert found(notes, 9) == nearest(9, among=range(200, ROWS))


def test_the_table_goes_with_the_collection(collection, asked):
    collection.drop()
    assert tables(asked) == ["pgvector_view"]
    assert asked("SELECT * FROM pgvector_view") == []


def test_what_somebody_else_broke_is_made_anew(collection, asked, tmp_path, postgres_url):
    assert (collection.verify().errors, collection.verify().repaired) == ([], [])
    its = table(asked)
    asked(f"UPDATE {its} SET vector = (SELECT vector FROM {its} WHERE key = 7) WHERE key = 5")
    what = "pgvector table of generation 1"
    assert collection.verify().repaired == [f"{what}: its vectors differ from the catalog's codes"]
    assert collection.refresh()
    asked(f"DELETE FROM {table(asked)} WHERE key < 9")
    assert collection.verify().repaired == [f"{what}: its chunks differ from the catalog's"]
    assert found(collection, 3) == nearest(3)
    assert collection.refresh()
    asked(f"ALTER TABLE {table(asked)} RENAME TO lost")
    with Collection.open("c", home=tmp_path, db=postgres_url) as again:
        assert found(again, 3) == nearest(3)


def test_one_who_cannot_write_the_table_answers_all_the_same(collection, postgres_url):
    """Another host holds the table's lock; what is newer is read from the log."""
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(1885828709, 1)")
        collection.delete(["d3"])
        add(collection, [3])
        collection.delete(["d5"])
        assert found(collection, 3) == nearest(3, among=[n for n in range(ROWS) if n != 5])
        assert not collection.refresh()
    assert collection.refresh()


def read_until(home, url, start, answer):
    with Collection.open("c", home=home, db=url) as reader:
        answer.put(found(reader, 3, k=1))
        start.wait(30)
        began = time.monotonic()
        while found(reader, 3, k=1) != ["new"]:
            if time.monotonic() - began > 10:
                break
        answer.put(time.monotonic() - began)


def test_another_process_sees_a_commit_within_a_second(collection, tmp_path, postgres_url):
    spawn = multiprocessing.get_context("spawn")
    start, answer = spawn.Event(), spawn.Queue()
    process = spawn.Process(target=read_until, args=(tmp_path, postgres_url, start, answer))
    process.start()
    assert answer.get(timeout=60) == ["d3"]
    collection.delete(["d3"])
    collection.add([{"id": "new", "text": "new"}], vectors=VECTORS[3:4])
    start.set()
    assert answer.get(timeout=60) < 1
    process.join(30)


def test_a_copy_in_a_file_is_served_by_the_usual_engine(tmp_path):
    with Collection.create("c", home=tmp_path, dimension=DIMENSION, precision="float32") as notes:
        add(notes, range(ROWS))
        with sqlite3.connect(tmp_path / "collections/c/catalog.sqlite") as connection:
            connection.execute("UPDATE serving SET engine = 'pgvector'")
        connection.close()
    with Collection.open("c", home=tmp_path) as notes:
        assert found(notes, 3) == nearest(3)
        assert notes.info().engine == "faiss"
        assert notes.reindex(engine="usearch").serving.engine == "usearch"
        notes.rollback()
        assert found(notes, 3) == nearest(3)


def test_what_cannot_be_is_said_at_once(tmp_path, postgres_databases):
    with pytest.raises(BadInput, match="engine pgvector is one of a PostgreSQL server"):
        Collection.create("c", home=tmp_path, dimension=DIMENSION, engine=SERVER_ENGINES[0])
    url = postgres_databases.create(vector=False)
    with pytest.raises(StorageError, match="let an administrator run CREATE EXTENSION vector"):
        Collection.create("c", home=tmp_path, db=url, dimension=DIMENSION, engine="pgvector")
    with Collection.create("c", home=tmp_path, db=url, dimension=4_001) as wide:
        with pytest.raises(BadInput, match=r"4,001 dimensions .* use the engine 'faiss'"):
            wide.reindex(engine="pgvector")
        with pytest.raises(BadInput, match="4,001 dimensions"):
            Collection.create("d", home=tmp_path, db=url, dimension=4_001, engine="pgvector")
        wide._session.database.dispose()
    postgres_databases.drop(url)


def test_a_table_that_doubles_gets_a_new_graph(collection, asked, monkeypatch):
    """And one that grows a little keeps it."""
    graph = "SELECT relfilenode FROM pg_class WHERE relname ~ '^pgvector_1_[0-9]+_graph$'"
    monkeypatch.setattr("indexing.views.vector_table.READ_ROWS", 30)
    before = asked(graph)
    collection.delete([f"d{n}" for n in range(50, 150)])
    add(collection, range(50, 100))
    assert collection.refresh()
    assert asked(graph) == before
    collection.delete([f"d{n}" for n in range(100, 350)])
    assert collection.refresh()
    assert asked(graph) == before
    for first in range(100, 350, 50):
        add(collection, range(first, first + 50))
    assert collection.refresh()
    assert len(asked(graph)) == 1
    assert asked(graph) != before
    assert found(collection, 3) == nearest(3)


@pytest.fixture
def elsewhere(collection, tmp_path, postgres_url):
    """The same collection as another host has it open, which has searched it."""
    with Collection.open("c", home=tmp_path / "elsewhere", db=postgres_url) as other:
        assert found(other, 3) == nearest(3)
        yield other


def view_of(collection):
    return collection._views.vectors(collection._session.live())


def test_what_is_committed_while_a_table_follows_is_not_lost(collection, elsewhere, monkeypatch):
    """Between the statements that read the log."""
    read, written = following._last_change, []

    def write_first(*given):
        if not written:
            written.append(3)
            elsewhere.delete(["d5"])
            add(elsewhere, [5])
        return read(*given)

    collection.delete(["d3"])
    add(collection, [3])
    monkeypatch.setattr(following, "_last_change", write_first)
    view_of(collection).publish()
    assert written
    for query in (3, 5):
        assert found(collection, query) == found(elsewhere, query) == nearest(query)
    assert (collection.verify().errors, collection.verify().repaired) == ([], [])


@pytest.mark.parametrize("why", ["renewed", "doubled"])
def test_searches_go_on_while_a_table_is_made_anew(collection, elsewhere, asked, monkeypatch, why):
    """As on the host that makes it: another number, and the older one is gone then."""
    monkeypatch.setattr("indexing.views.vector_table.READ_ROWS", 99)
    append, answers, before = VectorTable.append, [], table(asked)

    def search_first(self, *given):
        answers.append(found(elsewhere, 350) + found(elsewhere, 5))
        append(self, *given)

    among = range(ROWS)
    if why == "doubled":
        monkeypatch.setattr("indexing.views.vector_table.READ_ROWS", 39)
        among = range(200, ROWS)
        collection.delete([f"d{n}" for n in range(ROWS)])
        assert collection.refresh()
        add(collection, among[:60])
        assert collection.refresh()
        for first in range(260, ROWS, 20):
            add(collection, range(first, first + 20))
        before = table(asked)
    monkeypatch.setattr(VectorTable, "append", search_first)
    view = view_of(collection)
    view.renew() if why == "renewed" else view.publish()
    expected = nearest(350, among=among) + nearest(5, among=among)
    assert answers == len(answers) * [expected]
    assert len(answers) > 1
    assert table(asked) != before
    assert tables(asked) == ["pgvector_1", "pgvector_view"]
    assert found(elsewhere, 350) + found(elsewhere, 5) == expected
    assert found(collection, 350) == nearest(350, among=among)


def test_a_table_that_is_dropped_elsewhere_is_not_missed(collection, elsewhere, asked):
    view_of(collection).discard()
    assert tables(asked) == ["pgvector_view"]
    assert found(elsewhere, 350) == nearest(350)
    assert found(elsewhere, 350, filter="n = 2") == nearest(350, among=range(2, ROWS, 7))


def test_a_table_of_many_steps_is_made_anew_after_removals_were_forgotten(collection, monkeypatch, asked):
    monkeypatch.setattr("indexing.views.vector_table.READ_ROWS", 99)
    collection.delete(["d3"])
    collection.compact()
    assert collection.rebuild_views()
    collection.erase(["d5"])
    assert asked(f"SELECT count(*) FROM {table(asked)}") == [(ROWS - 2,)]
    assert found(collection, 3) == nearest(3, among=[n for n in range(ROWS) if n not in (3, 5)])


def test_a_table_that_somebody_reads_is_dropped_later(collection, asked, postgres_url):
    view = view_of(collection)
    with psycopg.connect(postgres_url) as reader:
        reader.execute(f"SELECT 1 FROM {table(asked)} LIMIT 1")
        view._publish_next(afresh=True)
        view.publish()
        assert tables(asked) == ["pgvector_1", "pgvector_1", "pgvector_view"]
        assert found(collection, 3) == nearest(3)
    view.publish()
    assert tables(asked) == ["pgvector_1", "pgvector_view"]


def test_a_collection_deleted_while_its_table_is_made_leaves_none(collection, elsewhere, asked, monkeypatch):
    append = VectorTable.append

    def drop_first(self, *given):
        append(self, *given)
        elsewhere.drop()

    monkeypatch.setattr(VectorTable, "append", drop_first)
    with pytest.raises((LockedError, StorageError)):
        view_of(collection).renew()
    assert tables(asked) == ["pgvector_view"]
    assert asked("SELECT * FROM pgvector_view") == []


def test_tables_of_the_first_form_give_way(collection, asked, elsewhere):
    asked(f"ALTER TABLE {table(asked)} RENAME TO pgvector_1")
    asked("ALTER TABLE pgvector_view DROP COLUMN number")
    assert found(elsewhere, 3) == nearest(3)
    assert collection.refresh()
    assert tables(asked) == ["pgvector_1", "pgvector_view"]
    assert table(asked)
    assert found(elsewhere, 3) == nearest(3)
