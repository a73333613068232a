"""Erasing on a real PostgreSQL: rows, what the tables' files hold, and who still sees it."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from app.facade.caller import Caller
from app.facade.erasure import check_erased, erase_documents, finish_erasures
from app.facade.feedback import record
from app.feedback.table import close_databases
from app.settings import Location
from indexing import Collection
from indexing.catalog import postgres
from indexing.catalog.database import reading
from indexing.errors import BadInput
from tests.services.postgres import Server, databases_of
from tests.unit.erasing.conftest import MARKER, SECRET, bytes_below, fill

ANN = Caller("ann")


@pytest.fixture(scope="module")
def server():
    server = Server()
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


def test_an_older_transaction_keeps_it_pending(notes, location, monkeypatch):
    monkeypatch.setattr(postgres, "_OLD_VIEW_SECONDS", 0.2)
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
