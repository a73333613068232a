"""Bringing a database to the schema of this release. Alembic is imported only when it has work."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from indexing.catalog.database import database_name, map_errors, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.unwritable import unwritable_path
from indexing.errors import StorageError

__all__ = ["HEAD", "REMEDY_FOR_NEWER", "ensure_schema", "known_revision", "schema_revision"]

# The newest file in migrations/versions; a test compares the two.
HEAD = "0008"

REMEDY_FOR_NEWER = "upgrade stlib with `pip install --upgrade '.[app]'` in a newer copy of it"


def schema_revision(engine: Engine) -> str | None:
    """The revision the database is at; None for an empty database."""
    with map_errors(engine), engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def known_revision(engine: Engine) -> str | None:
    """The same.

    Raises:
        StorageError: the database was written by a newer release.
    """
    revision = schema_revision(engine)
    if revision is not None and revision > HEAD:
        raise StorageError(
            f"{database_name(engine)} has schema {revision}, newer than this release knows ({HEAD}):"
            f" {REMEDY_FOR_NEWER}"
        )
    return revision


def ensure_schema(engine: Engine) -> None:
    """Creates or upgrades the tables, in one transaction.

    Raises:
        StorageError: the database was written by a newer release, or by an older one and cannot be written.
    """
    revision = known_revision(engine)
    if revision == HEAD:
        return
    if (path := unwritable_path(engine)) is not None:
        raise StorageError(
            f"{path} has schema {revision or 'none'}, older than this release reads ({HEAD}), and cannot"
            " be upgraded where it cannot be written: its owner must open it once with this release"
        )
    with writing(engine) as connection:
        dialect_of(connection).lock_schema(connection)
        _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
