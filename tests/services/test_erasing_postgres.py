"""Erasing on a real PostgreSQL: rows, what the tables' files hold, and who still sees it."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from app.facade.caller import Caller
from app.facade.erasure import check_erased, erase_documents, finish_erasures
from app.facade.feedback import record
from app.feedback.table import close_databases
from app.jobs.place import jobs_place
from app.jobs.table import JOBS, insert, open_jobs
from app.settings import Location
from indexing import Collection
from indexing.catalog import postgres
from indexing.catalog.database import reading, writing
from indexing.errors import BadInput
from indexing.storage.paths import ServerDatabase
from tests.services.postgres import USER, Server, databases_of
from tests.unit.erasing.conftest import MARKER, SECRET, bytes_below, fill

ANN = Caller("ann")


@pytest.fixture(scope="module")
def server():
    server = Server(wal_level="logical", max_replication_slots="2", max_prepared_transactions="2")
    yield server
    server.close()


@pytest.fixture
def location(server, tmp_path):
    databases = databases_of(server)
    url = databases.create()
    yield Location(tmp_path / "home", url)
    close_databases()
    databases.drop(url)


@pytest.fixture
def notes(location):
    with Collection.create("notes", **location.arguments()) as notes:
        fill(notes)
        notes.refresh()
        record(ANN, location, notes, "who opened the cellar?", "secret", "up")
        yield notes


def bytes_of_tables(server):
    """What the files of the server's tables hold: without its log, which no statement reaches."""
    with server.connect() as connection:
        connection.autocommit = True
        connection.execute("CHECKPOINT")
    [base] = server.folder.rglob("base")
    return bytes_below(base)


def test_nothing_of_it_is_left_in_tables_or_views(notes, location, server):
    assert MARKER.encode() in bytes_of_tables(server)
    receipt = erase_documents(ANN, location, notes, ["secret"])
    assert receipt.done, receipt.pending
    assert (receipt.erased["documents"], receipt.erased["judgments"]) == (1, 1)
    assert {*postgres.OUT_OF_REACH} <= {*receipt.out_of_reach}
    assert MARKER.encode() not in bytes_of_tables(server)
    assert MARKER.encode() not in bytes_below(location.home)
    assert check_erased(ANN, location, notes).clean and notes.verify().clean
    assert len(notes) == 40 and "secret" not in [one.id for one in notes.search(MARKER, 50)]
    with pytest.raises(BadInput, match="stays out"):
        notes.add([{"id": "again", "text": SECRET}])
    assert notes.allow_again(["secret"]) == 1
    assert notes.add([{"id": "again", "text": SECRET}]).added == 1


def test_what_lies_on_other_hosts_is_named(notes, location):
    with open_jobs(jobs_place(location)) as engine, writing(engine) as connection:
        for host in ("hal", "hal", socket.gethostname()):
            job = insert(connection, "verify", {"collection": "notes"}, "ann")
            connection.execute(JOBS.update().where(JOBS.c.id == job.id).values(state="done", host=host))
    receipt = erase_documents(ANN, location, notes, ["secret"])
    named = [one for one in receipt.out_of_reach if "erase the same ids there too" in one]
    assert [one.partition(":")[0] for one in named] == [
        "uploads, reports, judged questions and models in the homes of other hosts that share the database",
        "logs of 2 jobs that ran on hal",
    ]


def test_an_older_transaction_keeps_it_pending(notes, location, monkeypatch):
    monkeypatch.setattr("indexing.catalog.postgres.upkeep._OLD_VIEW_SECONDS", 0.2)
    with Collection.open("notes", **location.arguments()) as other:
        with reading(other._session.database) as connection:
            connection.execute(text("SELECT 1")).scalar_one()  # from here on it sees rows as they are now
            receipt = notes.erase(["secret"])
        assert receipt.state == "pending"
        assert "transactions of others began before it" in json.dumps(receipt.pending)
    [finished] = finish_erasures(ANN, location, notes)
    assert finished.done and check_erased(ANN, location, notes).clean


def test_indexes_of_another_machine_are_not_used_any_more(notes, location, tmp_path):
    with Collection.open("notes", home=tmp_path / "other", db=location.db) as other:
        other.refresh()
        assert other.search(MARKER)[0].id == "secret"
        notes.erase(["secret"])
        assert "secret" not in [one.id for one in other.search(MARKER, 50)]
        assert len(other) == 40
        other.refresh()
    assert MARKER.encode() not in bytes_below(tmp_path / "other")


@contextmanager
def prepared_transaction(connection):
    connection.execute("BEGIN; SELECT pg_current_xact_id(); PREPARE TRANSACTION 'left behind'")
    try:
        yield
    finally:
        connection.execute("ROLLBACK PREPARED 'left behind'")


@contextmanager
def replication_slot(connection):
    connection.execute("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")
    connection.execute("SELECT pg_current_xact_id()")  # what came after it
    try:
        yield
    finally:
        connection.execute("SELECT pg_drop_replication_slot('left_behind')")


@contextmanager
def written_row(connection):
    """Between two statements such a transaction sees nothing, and still has a number."""
    connection.execute("BEGIN; SELECT pg_current_xact_id()")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("keeper", "named"),
    [
        (prepared_transaction, "1 prepared transactions"),
        (replication_slot, "1 replication slots"),
        (written_row, "1 transactions of others"),
    ],
)
def test_what_keeps_old_rows_at_the_server_keeps_it_pending(server, keeper, named, monkeypatch):
    monkeypatch.setattr("indexing.catalog.postgres.upkeep._OLD_VIEW_SECONDS", 0.1)
    databases = databases_of(server)
    url = databases.create()
    engine = postgres.open_database(ServerDatabase(url))
    try:
        with server.connect(urlsplit(url).path[1:]) as admin:
            with keeper(admin):
                assert postgres.scrub(engine, []) == f"{named} began before it and still see the rows"
            assert postgres.scrub(engine, []) is None
    finally:
        engine.dispose()
        databases.drop(url)


def test_who_does_not_own_the_tables_cannot_say_done(notes, location, server):
    database = urlsplit(location.db).path[1:]
    with server.connect(database) as admin:
        admin.execute(f"ALTER DATABASE {database} OWNER TO postgres; ALTER TABLE document OWNER TO postgres")
        admin.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON document TO {USER}")
        try:
            receipt = notes.erase(["secret"])
        finally:
            admin.execute(f"ALTER DATABASE {database} OWNER TO {USER}; ALTER TABLE document OWNER TO {USER}")
    assert "secret" not in notes
    assert receipt.pending == (
        "the old bytes may still be in the catalog: this user may not write document anew: finish as the"
        " owner of the tables; this user may not write the statistics anew: finish as the owner of the"
        " database",
    )
    [finished] = notes.finish_erasures()
    assert finished.done and MARKER.encode() not in bytes_of_tables(server)
