"""A copy is the original in another place: row by row, and in what it answers."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from app.backups import files
from app.facade.backups import back_up, copy, restore
from app.facade.caller import Caller, NotAllowed
from app.settings import Location
from indexing import Collection
from indexing.catalog.schema import Base, CollectionRow, Counter
from indexing.catalog.transfer import LEFT_OUT, PARTS
from indexing.errors import BadInput, CollectionExists, StorageError, UnknownCollection


def test_every_table_belongs_to_the_collection_or_to_all():
    known = {part.table.name for part in PARTS} | {CollectionRow.__tablename__, Counter.__tablename__}
    assert known | {*LEFT_OUT} == set(Base.metadata.tables)


def test_every_number_of_a_row_that_another_row_names_moves_with_it():
    tables = Base.metadata.tables
    for part in PARTS:
        for column in part.table.columns:
            named = {key.column.table.name for key in column.foreign_keys}
            if (column.name.endswith("_id") and isinstance(column.type.python_type(), int)) or named:
                assert column.name in part.numbers, f"{part.table.name}.{column.name}"
            assert part.numbers.get(column.name) in ({None} | named if named else {None, *tables})


@pytest.fixture(params=["home", "file", "server"])
def target(request, tmp_path):
    if request.param == "home":
        return Location(tmp_path / "target")
    if request.param == "file":
        return Location(db=f"sqlite:///{tmp_path / 'target.db'}")
    return Location(tmp_path / "target", request.getfixturevalue("postgres_url"))


def test_there_and_back_again(me, location, animals, facts, target, tmp_path):
    before = facts(location)
    report = copy(me, location, "animals", target)
    assert (report.documents, report.said, report.files) == (5, 7, 2)
    assert report.rows["document"] == 6 and report.rows["code"] == 10  # with the mark of one that was deleted
    assert facts(target) == before and facts(location) == before
    with pytest.raises(CollectionExists):
        copy(me, location, "animals", target)
    home = Location(tmp_path / "again")
    copy(me, target, "animals", home, as_name="again")
    assert facts(home, "again") == before
    with Collection.open("again", **home.arguments()) as again:
        assert again.uuid == animals
        again.add([{"id": "yak", "text": "Yaks carry loads over mountains."}])
        assert again.search("who carries loads over mountains")[0].id == "yak"
        assert again.rollback().serving.id == 2 and again.verify().clean


def test_a_copy_beside_the_original_has_numbers_of_its_own(me, location, animals, facts, target):
    copy(me, location, "animals", target)
    before = facts(target)
    report = copy(me, target, "animals", target, as_name="twin")
    assert report.said == 7
    twin = facts(target, "twin")
    for key in ("servings", "documents", "sources", "uploads", "models"):
        assert twin[key] == before[key], key
    answers = list(before["answers"].values())
    assert list(twin["answers"].values()) == answers
    assert facts(target) == before
    for name in ("animals", "twin"):  # numbers that are given from now on are free
        with Collection.open(name, **target.arguments()) as collection:
            assert collection.uuid != animals or name == "animals"
            collection.add([{"id": "yak", "text": "Yaks carry loads over mountains."}])
            collection.reindex(precision="float32")
            assert collection.verify().clean
    assert copy(me, target, "animals", target, as_name="twin", replace=True).replaced
    with Collection.open("twin", **target.arguments()) as collection:
        assert collection.verify().clean and [one.note for one in collection.servings()][-1] != "head"


def test_a_backup_of_a_server_is_one_like_any_other(me, location, animals, facts, postgres_url, tmp_path):
    before = facts(location)
    server = Location(tmp_path / "server", postgres_url)
    restore_into = Location(tmp_path / "home again")
    copy(me, location, "animals", server)
    back_up(me, server, tmp_path / "b.tar", ["animals"])
    restore(me, restore_into, tmp_path / "b.tar")
    assert facts(restore_into) == before
    restore(me, server, tmp_path / "b.tar", as_name="beside")
    restore(me, server, tmp_path / "b.tar", replace=True)
    assert facts(server)["documents"] == before["documents"]
    assert facts(server, "beside")["documents"] == before["documents"]


def test_files_are_written_while_no_transaction_waits(
    me, location, animals, facts, postgres_url, tmp_path, monkeypatch
):
    """The server ends those that wait for long."""
    waiting, make = [], files._make_folder

    def noting(*arguments, **named):
        with psycopg.connect(postgres_url) as connection:
            asked = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE %s AND datname = %s"
            waiting.append(
                connection.execute(asked, ["idle in transaction%", connection.info.dbname]).fetchone()[0]
            )
        make(*arguments, **named)

    monkeypatch.setattr(files, "_make_folder", noting)
    server, before = Location(tmp_path / "server", postgres_url), facts(location)
    copy(me, location, "animals", server)
    assert waiting == [0, 0] and facts(server) == before
    back_up(me, server, tmp_path / "b.tar", ["animals"])
    restore(me, server, tmp_path / "b.tar", replace=True)
    again = facts(server)
    assert waiting == [0] * 4 and all(again[kind] == before[kind] for kind in ("uploads", "models"))
    assert not list((tmp_path / "server").rglob(".tmp-*"))


def test_tables_of_a_server_go_with_what_is_replaced_and_files_do_without(me, postgres_url, tmp_path):
    vectors = np.eye(8, dtype=np.float32)
    server, home = Location(tmp_path / "s", postgres_url), Location(tmp_path / "home")
    with Collection.create("own", dimension=8, engine="pgvector", **server.arguments()) as collection:
        collection.add([{"id": str(n), "text": f"number {n}"} for n in range(8)], vectors=vectors)
        assert collection.refresh()
    copy(me, server, "own", home)
    back_up(me, server, tmp_path / "own.tar", ["own"])
    restore(me, server, tmp_path / "own.tar", replace=True)
    for place in (home, server):
        with Collection.open("own", **place.arguments()) as collection:
            assert collection.search(vector=vectors[5], k=1)[0].id == "5" and collection.verify().clean
    engine = sa.create_engine(sa.engine.make_url(postgres_url).set(drivername="postgresql+psycopg"))
    tables = [name for name in sa.inspect(engine).get_table_names() if name.startswith("pgvector_")]
    engine.dispose()
    assert len([name for name in tables if name[9:].isdigit()]) <= 1


def test_only_who_may_manage_both_copies(me, location, animals, tmp_path):
    some = Caller("eve", rights=me.rights, collections=frozenset({"animals"}))
    with pytest.raises(NotAllowed, match="may not use collection 'other'"):
        copy(some, location, "animals", Location(tmp_path / "t"), as_name="other")
    with pytest.raises(UnknownCollection, match="no collection 'dogs'"):
        copy(me, location, "dogs", Location(tmp_path / "t"))
    with pytest.raises(BadInput, match="would be copied to where it is"):
        copy(me, location, "animals", location)
    assert not (tmp_path / "t").exists()


def test_what_differs_from_what_was_read_is_not_kept(me, location, animals, monkeypatch, tmp_path):
    from indexing.catalog import transfer

    insert = transfer._insert

    def forgetful(target, part, rows):
        insert(target, part, rows[1:] if part.table.name == "code" else rows)

    monkeypatch.setattr(transfer, "_insert", forgetful)
    for place in (Location(tmp_path / "t"), Location(db=f"sqlite:///{tmp_path / 't.db'}")):
        with pytest.raises(StorageError, match="10 rows of code were read and 9 are there"):
            copy(me, location, "animals", place)
        assert Collection.list(**place.arguments()) == []
    assert not (tmp_path / "t").exists()


def test_an_original_of_an_older_release_is_not_upgraded(me, location, animals, tmp_path):
    catalog = location.home / "collections/animals/catalog.sqlite"
    with closing(sqlite3.connect(catalog)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0005'")
    with pytest.raises(StorageError, match=r"schema 0005, older than .* only reads it: `stlib info animals`"):
        copy(me, location, "animals", Location(tmp_path / "t"))


def test_the_command_line(stlib, location, animals, postgres_url, tmp_path):
    url = sa.engine.make_url(postgres_url)
    code, out, err = stlib("copy", "animals", "--to", postgres_url, "--json")
    assert (code, err) == (0, "") and '"documents": 5' in out
    code, out, err = stlib(
        "copy", "animals", "--from", postgres_url, "--to", tmp_path / "t", "--as", "beasts"
    )
    assert code == 0 and out.splitlines()[0] == "beasts: 5 documents, 38 rows copied and compared"
    assert str(url.password) not in out + err
    assert stlib("copy", "animals")[0] == 2
    assert stlib("list", "--home", tmp_path / "t", "--json")[1].count('"beasts"') == 1
