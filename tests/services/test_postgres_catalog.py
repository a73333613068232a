"""Collections in PostgreSQL: the answers of a file, one writer, readers that see what was committed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.facade.caller import local_caller
from app.facade.gate import list_runs, promote
from app.facade.jobs import find_job, start_job
from app.facade.search import SearchRequest, search
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import close_databases, read_impressions
from app.indexing_job import IndexChoices
from app.jobs.kinds import index
from app.jobs.place import jobs_place
from app.jobs.worker import run_job
from app.keys.place import keys_place
from app.keys.table import read_keys
from app.settings import Location
from indexing import Collection
from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.log import take_seqs
from indexing.catalog.migrate import HEAD, ensure_schema, schema_revision
from indexing.catalog.postgres import WriterLock
from indexing.catalog.schema import Base
from indexing.errors import BadInput, ConnectionLost, LockedError, StorageError, UnknownCollection
from indexing.search import candidates
from indexing.storage.paths import database_address, side_folder

TEXTS = {
    "whales": "Whales sing across the ocean.",
    "bees": "Bees make honey in their hives.",
    "bread": "Bread rises because yeast makes gas.",
    "Zoo": "A zoo keeps animals of many lands.",
    "éclair": "An éclair is filled with cream.",
    "apple": "Apples fall from trees, said Newton.",
}
DOCUMENTS = [
    {
        "id": id_,
        "text": text,
        "metadata": {"n": n, "kind": "Food" if "r" in id_ else "animal", "at": f"2024-0{n}-01"},
    }
    for n, (id_, text) in enumerate(TEXTS.items(), 1)
]
QUESTIONS = ["who sings", "honey", "what makes dough rise", "animals", "cream", "falling"]


@pytest.fixture
def notes(home, postgres_url):
    with Collection.create("notes", home=home, db=postgres_url) as collection:
        collection.add(DOCUMENTS)
        yield collection


def found(collection, **settings):
    return [
        [(r.id, round(r.score, 5), r.text) for r in collection.search(q, k=4, **settings).results]
        for q in QUESTIONS
    ]


def test_answers_are_those_of_a_file(notes, tmp_path):
    filters = [
        "n > 2",
        "kind = 'FOOD'",
        "at between 2024-02 and 2024-05",
        "not (n in (1, 2)) or kind like 'an%'",
    ]
    with Collection.create("notes", home=tmp_path / "files") as other:
        other.add(DOCUMENTS)
        for mode in ("hybrid", "semantic", "keyword"):
            assert found(notes, mode=mode) == found(other, mode=mode)
        for filter in filters:
            assert found(notes, filter=filter) == found(other, filter=filter)
            assert notes.count(filter) == other.count(filter) > 0
            assert [d.id for d in notes.documents(filter, batch=2)] == [d.id for d in other.documents(filter)]
        assert (
            notes.search("bees", filter="kinds = 1").notes == other.search("bees", filter="kinds = 1").notes
        )
        assert [one.to_dict() for one in notes] == [one.to_dict() for one in other]
        assert [one.id for one in notes] == sorted(TEXTS)  # by code points, whatever the server's language is
        assert sorted(notes.delete(filter="kind = 'food'")) == sorted(other.delete(filter="kind = 'food'"))
        assert found(notes) == found(other)
        assert notes.verify().clean


def test_changes_deletions_reindexing_and_going_back(notes):
    before = found(notes)
    assert notes.add(DOCUMENTS).unchanged == 6
    assert (
        notes.add([{"id": "bees", "text": "Bees dance."}, {"id": "new", "text": "Owls hoot."}]).updated == 1
    )
    assert notes.delete(["new", "whales", "none"]) == ["new", "whales"]
    assert notes.update_metadata({"bees": {"n": 7}}) == ["bees"]
    assert [d.id for d in notes.documents("n = 7")] == ["bees"]
    notes.add(DOCUMENTS)
    notes.reindex(precision="float32")
    notes.compact()
    assert [[id_ for id_, *_ in one] for one in found(notes)] == [[id_ for id_, *_ in one] for one in before]
    notes.rollback()
    assert found(notes) == before
    assert notes.verify().clean


def test_migrations_make_what_the_models_say(postgres_url):
    engine = open_database(database_address(postgres_url))
    ensure_schema(engine)
    ensure_schema(engine)
    assert schema_revision(engine) == HEAD

    def is_ours(name, kind, _parents):
        return kind != "table" or not name.startswith(("pgvector_", "alembic_"))

    with reading(engine) as connection:
        settings = {"compare_type": True, "include_name": is_ours}
        assert compare_metadata(MigrationContext.configure(connection, opts=settings), Base.metadata) == []


def test_many_processes_make_the_tables_once(postgres_url, home):
    code = (
        "import sys; from indexing import Collection\n"
        "Collection.create(sys.argv[1], home=sys.argv[2], db=sys.argv[3])"
    )
    making = [
        subprocess.Popen([sys.executable, "-c", code, name, str(home), postgres_url])
        for name in ("a", "b", "c")
    ]
    assert [one.wait(60) for one in making] == [0, 0, 0]
    assert Collection.list(home=home, db=postgres_url) == ["a", "b", "c"]


def test_a_second_writer_of_another_process_is_told_who_writes(notes, home, postgres_url):
    code = (
        "import sys; from indexing import Collection\n"
        "c = Collection.open('notes', home=sys.argv[1], db=sys.argv[2])\n"
        "with c._session.writing_documents(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home), postgres_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=rf"'notes' is being written by process {other.pid} on "):
            notes.add([{"id": "x", "text": "y"}])
        assert notes.search("bees").results[0].id == "bees"  # readers go on
        other.kill()  # the server gives back what its connection held
        other.wait()
        for _ in range(100):
            try:
                notes.add([{"id": "x", "text": "y"}])
                break
            except LockedError:
                threading.Event().wait(0.05)
    assert "x" in notes


def test_another_process_sees_what_was_committed(notes, home, postgres_url):
    code = (
        "import sys; from indexing import Collection\n"
        "c = Collection.open('notes', home=sys.argv[1], db=sys.argv[2])\n"
        "for line in sys.stdin: print(len(c), c.search(line.strip()).results[0].id, flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home), postgres_url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:

        def ask(question):
            other.stdin.write(f"{question}\n")
            other.stdin.flush()
            return other.stdout.readline().split()

        assert ask("bees make honey") == ["6", "bees"]
        notes.add([{"id": "hive", "text": "zymurgy of mead"}])
        assert ask("zymurgy of mead") == ["7", "hive"]
        notes.delete(["hive"])
        assert ask("zymurgy of mead")[0] == "6"


def test_a_lock_that_is_lost_stops_its_writer(notes):
    with notes._session.writing_documents():
        end_connections(notes)
        with (
            pytest.raises(ConnectionLost, match=r"was lost .*run it again"),
            writing(notes._session.database) as connection,
        ):
            take_seqs(connection, notes._session.id, 1)
    assert "x" not in notes
    notes.add([{"id": "x", "text": "y"}])  # the next call finds the server again
    assert notes.search("y", mode="keyword").results[0].id == "x"


def end_connections(collection):
    """As an administrator ends them, or a server that is restarted."""
    url = collection._session.place.catalog.url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_connections_that_a_restart_ended_are_made_anew(notes):
    before = found(notes)
    end_connections(notes)
    assert found(notes) == before


def test_a_search_whose_connection_ends_in_its_middle_is_done_again(notes, monkeypatch):
    before = found(notes)
    documents, ended = candidates.stored_documents, []

    def end_first(connection, keys):
        if not ended:
            ended.append(end_connections(notes))
        return documents(connection, keys)

    monkeypatch.setattr(candidates, "stored_documents", end_first)
    assert found(notes) == before
    assert ended


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_leaves_its_parents_connections_alone(notes):
    lock = WriterLock(notes._session.database, "a test", "the test").acquire()
    child = os.fork()
    if not child:
        try:
            ok = notes.search("bees").results[0].id == "bees" and len(notes) == 6
            lock.release()
            os._exit(0 if ok else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(LockedError, match="this process itself"):
        WriterLock(notes._session.database, "a test", "the test").acquire()
    lock.release()
    assert found(notes)[1][0][0] == "bees"


def test_collections_share_a_database_and_leave_it(home, postgres_url):
    for name in ("one", "two"):
        with Collection.create(name, home=home, db=postgres_url) as made:
            made.add([{"id": "1", "text": f"text of {name}"}])
    with Collection.open("one", home=home, db=postgres_url) as one:
        one.drop()
    assert Collection.list(home=home, db=postgres_url) == ["two"]
    with pytest.raises(UnknownCollection, match="there are: two"):
        Collection.open("one", home=home, db=postgres_url)
    with Collection.create("one", home=home, db=postgres_url) as one:  # views of the old one are not taken up
        one.add([{"id": "2", "text": "other"}])
        assert [r.id for r in one.search("text of one").results] == ["2"]


def test_passwords_are_not_shown(notes, postgres_url):
    password = "secret"
    shown = [repr(notes), str(notes.info()), str(database_address(postgres_url))]
    parts = urlsplit(postgres_url)
    for wrong, match in (
        (parts._replace(path="/none"), "make the database first"),
        (parts._replace(netloc=parts.netloc.replace("secret", "wrong-secret")), "check name and password"),
        (parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:1"), "cannot be reached"),
    ):
        with pytest.raises(StorageError, match=match) as error:
            Collection.open("notes", db=urlunsplit(wrong))
        shown.append(str(error.value))
    assert not [text for text in shown if password in text]


@pytest.mark.parametrize(
    ("url", "shown", "folder"),
    [
        ("postgresql://ann@db/docs", "postgresql://ann@db/docs", "docs-"),
        ("postgres://ann:p%2Fw@db:5433/docs", "postgresql://ann:***@db:5433/docs", "docs-"),
        ("postgresql+psycopg:///docs?host=/run/pg", "postgresql:///docs?host=/run/pg", "docs-"),
        (
            "postgresql://db/docs?user=ann&password=secret",
            "postgresql://db/docs?user=ann&password=***",
            "docs-",
        ),
        ("postgresql://db/docs?sslpassword=secret&a=1", "postgresql://db/docs?sslpassword=***&a=1", "docs-"),
    ],
)
def test_addresses_are_told_without_passwords(url, shown, folder):
    address = database_address(url)
    assert str(address) == shown
    assert shown in repr(address) or "secret" not in repr(address)
    assert address.folder_name.startswith(folder)
    assert len(address.folder_name) == len(folder) + 12


@pytest.mark.parametrize("password", ["sec/ret", "sec@ret", "sec?ret", "s/e@c?ret", "sec?a=ret@x"])
def test_passwords_with_signs_of_urls_are_refused_unseen(password):
    with pytest.raises(StorageError, match=r"write @ / \? of a password as %40") as error:
        database_address(f"postgresql://ann:{password}@db/docs")
    assert "ret" not in str(error.value).replace("write", "")
    assert "postgresql://ann:***@db/docs" in str(error.value)


def test_passwords_are_no_part_of_names_of_folders():
    names = {database_address(f"postgresql://ann:{one}@db/docs").folder_name for one in ("a", "b")}
    assert names == {database_address("postgresql://db/docs").folder_name}


def test_using_small_tables_keeps_connections(notes, home, postgres_url):
    database = notes._session.database
    found(notes)
    before = database.pool.checkedin()
    read_keys(keys_place(Location(home, postgres_url)))
    assert database.pool.checkedin() >= before > 0


def test_what_the_database_does_not_take_is_bad_input(notes):
    with pytest.raises(BadInput, match="does not take this"), writing(notes._session.database) as connection:
        connection.execute(sa.text("SELECT CAST(:it AS text)"), {"it": "a\0b"})


def test_a_lock_that_was_interrupted_is_given_back(notes, monkeypatch):
    database = notes._session.database
    lock = WriterLock(database, "a test", "the test").acquire()

    def interrupt(*_names):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("indexing.catalog.postgres.locks.lock_number", interrupt)
        with pytest.raises(KeyboardInterrupt):
            lock.release()
    WriterLock(database, "a test", "the test").acquire().release()


def test_a_lock_whose_connection_ended_is_not_held_any_more(notes):
    lock = WriterLock(notes._session.database, "a test", "the test").acquire()
    lock.require_held()
    with writing(notes._session.database) as connection:  # over the connection of the lock
        pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    lock.require_held()
    other = sa.create_engine(notes._session.database.url)
    with other.connect() as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    other.dispose()
    for _ in range(2):
        with pytest.raises(LockedError, match="the lock of the test was lost"):
            lock.require_held()
    lock.release()
    with pytest.raises(LockedError, match="was lost"):
        lock.require_held()
    WriterLock(notes._session.database, "a test", "the test").acquire().release()


def test_jobs_feedback_and_gates_are_kept_there_too(home, postgres_url, tmp_path, monkeypatch):
    monkeypatch.setattr("app.jobs.queue.spawn", lambda *_: None)  # this test runs it itself
    location = Location(home, postgres_url)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Foxes run at night.", "utf-8")
    job = start_job(location, "index", index.describe("kept", [tmp_path / "docs"], IndexChoices()))
    run_job(location, job.id)
    assert (find_job(location, job.id).state, find_job(location, job.id).result["added"]) == ("done", 1)
    assert jobs_place(location).folder == side_folder(home, postgres_url, "jobs")
    with Collection.open("kept", home=home, db=postgres_url) as kept:
        caller = local_caller("cli")
        search(kept, SearchRequest("foxes"), [], None, caller=caller, location=location)
        place = feedback_place(location)
        assert feedback_log(place).flush(10)
        assert [one.query for one in read_impressions(place, kept.uuid)] == ["foxes"]
        kept.reindex(precision="float32", promote=False)
        assert promote(caller, location, kept, 2).serving.id == 2
        assert list_runs(caller, location, kept) == []
    close_databases()
