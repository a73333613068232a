"""Migrations and models describe the same tables."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.migrate import HEAD, ensure_schema, schema_revision
from indexing.catalog.schema import Base
from indexing.errors import StorageError


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


def test_head_is_the_newest_migration(database):
    assert schema_revision(database) == HEAD


def test_a_second_call_changes_nothing(database):
    ensure_schema(database)
    assert schema_revision(database) == HEAD


def test_a_newer_database_is_refused_with_the_remedy(database):
    with writing(database) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        StorageError, match=r"has schema 9999, newer than this release knows \(0001\): upgrade stlib"
    ):
        ensure_schema(database)


def test_durability_settings(database):
    with reading(database) as connection:
        values = {
            p: connection.execute(text(f"PRAGMA {p}")).scalar()
            for p in ("journal_mode", "synchronous", "secure_delete")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1}
