"""Errors of the database's driver become ours, and tell damage from what was only too much."""

from __future__ import annotations

import sqlite3

import pytest
from sqlalchemy import text

from indexing.catalog.database import map_errors, open_database, reading
from indexing.errors import BadInput, StorageError


@pytest.fixture
def database(tmp_path):
    engine = open_database(tmp_path / "c.sqlite", create=True)
    yield engine
    engine.dispose()


def test_a_statement_beyond_a_limit_is_no_damage(database):
    with (
        pytest.raises(BadInput, match=r"more than the database takes at once \(Expression tree is too large"),
        reading(database) as connection,
    ):
        connection.execute(text("SELECT " + "1 + " * 5000 + "1"))


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("parser stack overflow", BadInput),
        ("too many SQL variables", BadInput),
        ("string or blob too big", BadInput),
        ("database disk image is malformed", StorageError),
    ],
)
def test_what_the_driver_says_becomes_the_error_that_helps(database, said, error):
    with pytest.raises(error, match=said), map_errors(database):
        raise sqlite3.OperationalError(said)
