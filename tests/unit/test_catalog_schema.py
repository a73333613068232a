"""Migrations and models describe the same tables."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import event, text

from indexing import Collection
from indexing.catalog import migrate
from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.migrate import HEAD, ensure_schema, schema_revision
from indexing.catalog.schema import Base
from indexing.documents import Document
from indexing.errors import StorageError
from tests import new_catalogs

ASSETS = Path(__file__).with_name("assets")
"""What older releases wrote, as SQL: `sqlite3 catalog.sqlite .dump`."""
SCORES = {
    "by documents": [("whales.txt", 6.2446), ("bees.txt", 0.5643), ("bread.txt", 0.1873)],
    "by texts": [("whales.txt", 6.2709), ("bees.txt", 0.5428), ("bread.txt", 0.2047)],
}
"""By what the ranges of the codes were taken from."""


@pytest.fixture(autouse=True)
def _by_migrations(monkeypatch):
    """Each catalog of these tests, and not the first one of the process alone."""
    monkeypatch.setattr(migrate, "_upgrade", new_catalogs.by_migrations)


@pytest.fixture
def database(tmp_path):
    engine = open_database(tmp_path / "c.sqlite", create=True)
    ensure_schema(engine)
    yield engine
    engine.dispose()


def test_migrations_make_what_the_models_say(database):
    with reading(database) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_catalogs_of_other_tests_are_what_the_migrations_make(database, tmp_path, monkeypatch):
    def dump(engine):
        with reading(engine) as connection:
            return list(connection.connection.driver_connection.iterdump())

    monkeypatch.setattr(migrate, "_upgrade", new_catalogs.upgrade)
    for name in ("first.sqlite", "second.sqlite"):
        other = open_database(tmp_path / name, create=True)
        ensure_schema(other)
        assert dump(other) == dump(database)
        other.dispose()


def test_head_is_the_newest_migration(database):
    assert schema_revision(database) == HEAD


def test_a_second_call_changes_nothing(database):
    ensure_schema(database)
    assert schema_revision(database) == HEAD


def test_a_newer_database_is_refused_with_the_remedy(database):
    with writing(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        StorageError, match=r"has schema 9999, newer than this release knows \(0008\): upgrade stlib"
    ):
        ensure_schema(database)


@pytest.mark.parametrize("revision", ["0001", "0002", "0003", "0004", "0005", "0006", "0007"])
def test_a_saved_catalog_of_each_schema_is_upgraded_when_it_is_opened(home, revision):
    """Its documents, ids and answers stay; the next run finds them unchanged and notes their files."""
    restore(home / "collections/c/catalog.sqlite", revision)
    with Collection.open("c", home=home) as collection:
        assert schema_revision(collection._session.database) == HEAD
        assert collection.verify().clean
        found = [(r.id, round(r.score, 4)) for r in collection.search("whales").results]
        assert found == SCORES["by texts" if revision >= "0003" else "by documents"]
        assert [(s.id, s.live, s.engine) for s in collection.servings()] == [(1, True, "faiss")]
        documents = [
            Document(one.id, one.text, title=one.title, metadata=one.metadata, origin=f"/elsewhere/{one.id}")
            for one in collection.documents()
        ]
        report = collection.add(documents)
        assert (report.unchanged, report.added, report.updated) == (3, 0, 0)
        assert collection.add([Document("iron.txt", "Iron rusts.")]).added == 1  # it was deleted back then
        assert collection.delete(["iron.txt"]) == ["iron.txt"]
        assert collection.verify().clean
        with reading(collection._session.database) as connection:
            rows = connection.execute(text("SELECT id, origin FROM document WHERE NOT deleted")).all()
        assert set(rows) == {(document.id, document.origin) for document in documents}


def test_a_catalog_of_each_schema_is_saved():
    versions = Path(migrate.__file__).with_name("migrations") / "versions"
    older = {path.name[:4] for path in versions.glob("0*.py")} - {HEAD}
    assert {path.stem.removeprefix("catalog-") for path in ASSETS.glob("catalog-*.sql")} == older


def restore(catalog: Path, revision: str) -> None:
    """Makes the catalog that a release with that schema wrote: whales, bees and bread, without iron."""
    catalog.parent.mkdir(parents=True)
    with closing(sqlite3.connect(catalog)) as connection:
        connection.executescript((ASSETS / f"catalog-{revision}.sql").read_text("utf-8"))


def test_an_upgrade_can_be_taken_back(database):
    with writing(database) as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
    assert schema_revision(database) == "0001"
    ensure_schema(database)
    with reading(database) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_what_is_read_in_batches_is_found_by_an_index(home):
    """One batch must not read the whole collection, or all of them take time to the square."""
    documents = [
        Document(f"{i}.txt", f"text {i}", metadata={"n": i}, origin=f"/docs/{i}.txt") for i in range(300)
    ]
    with Collection.create("c", home=home) as collection:
        collection.add(documents)
        plans = {}

        def explain(connection, cursor, statement, parameters, context, many):
            whole = statement.startswith("SELECT count(")  # as `verify` counts, once
            batch = statement.startswith("SELECT") and (" IN (" in statement or "LIMIT" in statement)
            if batch and not whole:
                plan = connection.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
                plans[" ".join(statement.split(" IN (")[0].split())] = [row[3] for row in plan]

        event.listen(collection._session.database, "before_cursor_execute", explain)
        collection.add(documents)
        collection.facets()
        assert collection.verify().clean
        allowed = collection._filters.of("n > 7")
        with reading(collection._session.database) as connection:
            allowed._cache.matching(connection, allowed._node, [1, 2, 300])
    used = {step for steps in plans.values() for step in steps}
    assert {
        step for step in used if step.startswith("SEARCH document") or step.startswith("SEARCH chunk")
    } == {
        "SEARCH document USING INDEX ix_document_collection_id_origin (collection_id=? AND origin=?)",
        "SEARCH document USING INDEX sqlite_autoindex_document_1 (collection_id=? AND id=?)",
        "SEARCH document USING INDEX ix_document_collection_id_seq (collection_id=? AND seq>? AND seq<?)",
        "SEARCH document USING INTEGER PRIMARY KEY (rowid=?)",
        "SEARCH chunk USING INDEX ix_chunk_document_key (document_key=?)",
        "SEARCH chunk USING COVERING INDEX ix_chunk_generation_id_change (generation_id=? AND change>?)",
        "SEARCH document USING INDEX ix_document_collection_id_seq (collection_id=? AND seq>?)",
    }, plans
    assert not {step for step in used if step.startswith(("SCAN document", "SCAN chunk", "USE TEMP"))}


def test_durability_settings(database):
    with reading(database) as connection:
        values = {
            p: connection.execute(text(f"PRAGMA {p}")).scalar()
            for p in ("journal_mode", "synchronous", "secure_delete")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
