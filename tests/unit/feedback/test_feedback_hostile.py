"""A database that a stranger made: every value that is none of ours is an error that says what to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from app.facade.feedback import others_said, record, record_click, replay, said_about
from app.feedback.log import feedback_log
from app.feedback.table import close_databases, read_events, read_impressions, read_sayings
from indexing.errors import StorageError

from .conftest import HONEY


@pytest.fixture
def kept(ask, animals, ann, place, location):
    found = ask(ann)
    record_click(ann, location, animals, found.id, "bee")
    record(ann, location, animals, HONEY, "", "none", impression=found.id)
    feedback_log(place).flush()
    return place


def alter(place, statement, *values):
    close_databases()
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("shown", "{"),
        ("shown", "[]]"),
        ("shown", '{"a": 1}'),
        ("shown", "[" * 100_000),
        ("shown", '[["bee"]]'),
        ("shown", '[["bee", 1, 1, 1, 2]]'),
        ("shown", '[["bee", 1, 1, 1, 1, 1]]'),
        ("shown", '[["bee", 1, Infinity]]'),
        ("shown", '[[["bee"], 1, 1.0]]'),
        ("shown", b"\xff"),
        ("trial", "[1]"),
        ("trial", '["a", 2]'),
        ("query", b"\xff\xfe"),
        ("at", float("inf")),
        ("at", -1.0),
        ("at", "yesterday"),
        ("seq", 2**63 - 1),
        ("seq", 1.5),
        ("hashed", 2),
        ("hashed", "no"),
    ],
)
def test_a_damaged_impression_is_named(kept, column, value):
    alter(kept, f"UPDATE impression SET {column} = ?", value)
    with pytest.raises(StorageError) as raised:
        read_impressions(kept)
    said = str(raised.value)
    assert said.startswith(f"{kept.database} is damaged (") and "\n" not in said and len(said) < 400
    assert said.endswith("): move it away to begin anew; no collection needs it")


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("saying", "kind", "shout"),
        ("saying", "grade", "good"),
        ("saying", "shown", "[1]"),
        ("saying", "document", None),
        ("event", "kind", "shout"),
        ("event", "document", b"bee"),
    ],
)
def test_a_damaged_word_or_click_is_named(kept, table, column, value):
    if value is None:
        alter(kept, "UPDATE saying SET shown = ?", "[null]")
    else:
        alter(kept, f"UPDATE {table} SET {column} = ?", value)
    read = read_sayings if table == "saying" else read_events
    with pytest.raises(StorageError, match=r"is damaged .*: move it away to begin anew"):
        read(kept)


def test_a_table_of_another_kind_is_named(kept, animals, ann, location):
    alter(kept, "ALTER TABLE saying RENAME TO gossip")
    for ask in (said_about, others_said):
        with pytest.raises(StorageError, match=r"no such table: saying.*move it away to begin anew"):
            ask(ann, location, animals, HONEY)
    with pytest.raises(StorageError, match="no such table: saying"):
        record(ann, location, animals, HONEY, "bee", "up")


def test_a_search_goes_on_beside_a_damaged_table(kept, ask, ann):
    alter(kept, "DROP TABLE impression")
    assert ask(ann)[0].id == "bee"


def test_a_strange_impression_is_asked_as_any_question_is(kept, ann, location):
    """What it names is looked up, never opened: a model, a serving, a mode."""
    alter(kept, "UPDATE impression SET mode = 'psychic'")
    beginning = read_impressions(kept)[0].id[:8]
    with pytest.raises(Exception, match="mode 'psychic': use one of"):
        replay(ann, location, beginning)


def test_strange_text_is_shown_as_text(kept, stlib):
    alter(kept, "UPDATE impression SET query = ?, who = ?", "honey \x1b[2J", "a\u202eb")
    id_ = read_impressions(kept)[0].id
    for arguments in (["replay", id_], ["replay", id_, "--json"], ["feedback", "export", "animals"]):
        _, out, err = stlib(*arguments)
        assert not set("\x1b\u202e") & set(out + err) and "2J" in out
