"""The tables of feedback: opening them, and the statements that read and add.

Erasing is in `app.feedback.erasing`. What is written is committed, and on the disk, when a function returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from app.feedback.model import Event, Impression, Saying
from app.feedback.place import FeedbackPlace
from app.feedback.rows import columns_of, read_row, to_row
from indexing.catalog.bulk import stream_rows
from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.side_database import open_side_database
from indexing.catalog.types import NUMBER
from indexing.catalog.unwritable import is_unwritable
from indexing.errors import StorageError
from indexing.storage.paths import Address
from stlib.util.forks import ThreadLock

__all__ = [
    "EVENTS",
    "FOLLOWED",
    "IMPRESSIONS",
    "PLACES",
    "SAYINGS",
    "WRITING",
    "add_rows",
    "add_saying",
    "close_database",
    "close_databases",
    "count_rows",
    "feedback_database",
    "find_impressions",
    "open_to_read",
    "read_events",
    "read_impressions",
    "read_rows",
    "read_sayings",
    "stream_documents",
    "stream_records",
    "write_feedback",
]

Record = TypeVar("Record", Impression, Event, Saying)

VERSION = 2  # 2 added `followed`
_METADATA = sa.MetaData()
IMPRESSIONS = sa.Table("impression", _METADATA, *columns_of(Impression))
# Numbers are never used again: the order of sayings is the order in which they were said.
EVENTS = sa.Table("event", _METADATA, *columns_of(Event), sqlite_autoincrement=True)
SAYINGS = sa.Table("saying", _METADATA, *columns_of(Saying), sqlite_autoincrement=True)
# Where a question was put when it was first judged: see `app.feedback.judged.split`. `grouped` is the
# question by which its group is called.
PLACES = sa.Table(
    "question_place",
    _METADATA,
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("question", sa.Text, primary_key=True),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("grouped", sa.Text, nullable=False),
    sa.Column("out", NUMBER, nullable=False),
)
# Up to which renaming of documents feedback has followed a collection: see `app.feedback.renaming`.
FOLLOWED = sa.Table(
    "followed",
    _METADATA,
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("last", NUMBER, nullable=False),
)
sa.Index("impression_question", IMPRESSIONS.c.collection, IMPRESSIONS.c.query_hash)
sa.Index("impression_at", IMPRESSIONS.c.at)
sa.Index("event_impression", EVENTS.c.impression)
sa.Index("event_at", EVENTS.c.at)
sa.Index("saying_question", SAYINGS.c.collection, SAYINGS.c.query_hash)

WRITING = ThreadLock()
"""Held by whoever writes, in this process: a fork waits until nobody does, so that no child finds the
database in the middle of a transaction of its parent, which it could not touch then.
"""

# Parts of what SQLite says of a file that is none of ours, or was altered.
_DAMAGE = ("not a database", "malformed", "no such table", "no such column", "has no column")
_HELD_AT_ONCE = 1_000
_MOST_OPEN = 4  # homes of one process: a page has one, tests have many
_open: dict[Address, tuple[sa.Engine, tuple[int, int] | None]] = {}
_opening = ThreadLock()


def feedback_database(place: FeedbackPlace) -> sa.Engine:
    """The database, made if it is missing, and kept open by this process.

    Raises:
        StorageError: it is damaged, a link, of a newer release, or cannot be written.
    """
    with _opening:
        engine, identity = _open.get(place.database, (None, None))
        if engine is not None and dialect_of(place.database).identity(place.database) == identity is not None:
            return engine
        if engine is not None:  # it was moved away
            _open.pop(place.database)
            engine.dispose()
        with _naming_damage(place):
            engine = _open_database(place)
        _open[place.database] = engine, dialect_of(place.database).identity(place.database)
        while len(_open) > _MOST_OPEN:
            oldest, _ = _open.pop(next(iter(_open)))
            oldest.dispose()
        return engine


def _open_database(place: FeedbackPlace) -> sa.Engine:
    path = place.database
    if isinstance(path, Path) and path.is_file() and not path.is_symlink() and is_unwritable(path):
        return open_database(path)  # of a home that is only read
    return open_side_database(place.database, _METADATA, VERSION, "feedback")


def close_database(place: FeedbackPlace) -> None:
    """Closes one of them: afterwards its file holds everything."""
    with _opening:
        engine, _ = _open.pop(place.database, (None, None))
        if engine is not None:
            engine.dispose()


def close_databases() -> None:
    """Closes what this process keeps open. Nothing is lost without it."""
    with _opening:
        while _open:
            engine, _ = _open.popitem()[1]
            engine.dispose()


@contextmanager
def write_feedback(place: FeedbackPlace) -> Iterator[sa.Connection]:
    """A transaction that writes, committed at the end of the block. A ValueError within says that the
    database is damaged.

    Raises:
        StorageError, LockedError: it could not; nothing was changed.
    """
    with WRITING, _naming_damage(place), writing(feedback_database(place)) as connection:
        yield connection


@contextmanager
def open_to_read(place: FeedbackPlace) -> Iterator[sa.Connection]:
    """One view of the database, which is made where there is none. A ValueError within says that it is
    damaged.

    Raises:
        StorageError: it is.
    """
    with _naming_damage(place), reading(feedback_database(place)) as connection:
        yield connection


def add_rows(connection: sa.Connection, items: Sequence[Impression | Event | Saying]) -> None:
    """Adds rows of one kind; an impression that is there already stays as it is."""
    if items:
        table = _TABLES[type(items[0])]
        connection.execute(dialect_of(connection).insert_new(table), [to_row(item) for item in items])


def add_saying(connection: sa.Connection, saying: Saying) -> int:
    """Adds one, and returns its number."""
    return int(connection.execute(SAYINGS.insert().returning(SAYINGS.c.id), [to_row(saying)]).scalar_one())


def read_impressions(
    place: FeedbackPlace, collection: str | None = None, *, question: str | None = None
) -> list[Impression]:
    """Impressions, the oldest first: all, or those of a collection (its uuid) and of a question (its hash).

    Raises:
        StorageError: the database is damaged.
    """
    return read_rows(place, Impression, _of(IMPRESSIONS, collection, question), IMPRESSIONS.c.at)


def read_events(place: FeedbackPlace, collection: str | None = None) -> list[Event]:
    """Clicks and openings, in the order in which they came. Raises as `read_impressions`."""
    return read_rows(place, Event, _of(EVENTS, collection), EVENTS.c.id)


def read_sayings(
    place: FeedbackPlace, collection: str | None = None, *, question: str | None = None
) -> list[Saying]:
    """All that was ever said, in the order in which it was; `latest_words` has what counts of it. Raises as
    `read_impressions`.
    """
    return read_rows(place, Saying, _of(SAYINGS, collection, question), SAYINGS.c.id)


def find_impressions(place: FeedbackPlace, beginning: str) -> list[Impression]:
    """Those whose id begins so, at most two: more than one is as good as many. Raises as
    `read_impressions`.
    """
    found = IMPRESSIONS.c.id.startswith(beginning, autoescape=True)
    return read_rows(place, Impression, [found], IMPRESSIONS.c.id, most=2)


def read_rows(
    place: FeedbackPlace,
    record: type[Record],
    conditions: Iterable[Any],
    order: Any,
    *,
    most: int | None = None,
) -> list[Record]:
    """The records that fulfil all conditions; none, and no file made, where there is no database yet.

    Raises:
        StorageError: it is damaged, or cannot be read.
    """
    return list(stream_records(place, record, conditions, order, most=most))


def stream_records(
    place: FeedbackPlace,
    record: type[Record],
    conditions: Iterable[Any],
    order: Any,
    *,
    most: int | None = None,
) -> Iterator[Record]:
    """The same, of which a thousand are held at once. Raises as `read_rows`."""
    if not place.exists:
        return
    statement = sa.select(*_TABLES[record].c).where(*conditions).order_by(order).limit(most)
    with _naming_damage(place), reading(feedback_database(place)) as connection:
        for row in stream_rows(connection, statement, _HELD_AT_ONCE):
            yield read_row(record, row)


def stream_documents(place: FeedbackPlace, collection: str) -> Iterator[str]:
    """Every document that searches, clicks and sayings of a collection name. Raises as `read_impressions`."""
    for one in stream_records(place, Impression, _of(IMPRESSIONS, collection), IMPRESSIONS.c.at):
        yield from (shown.document for shown in one.shown)
    for event in stream_records(place, Event, _of(EVENTS, collection), EVENTS.c.id):
        yield event.document
    for saying in stream_records(place, Saying, _of(SAYINGS, collection), SAYINGS.c.id):
        yield from saying.documents


def count_rows(place: FeedbackPlace, record: type[Record], collection: str | None = None) -> int:
    """How many there are. Raises as `read_impressions`."""
    if not place.exists:
        return 0
    table = _TABLES[record]
    counted = sa.select(sa.func.count()).select_from(table).where(*_of(table, collection))
    with _naming_damage(place), reading(feedback_database(place)) as connection:
        return int(connection.execute(counted).scalar_one())


def _of(table: sa.Table, collection: str | None, question: str | None = None) -> list[Any]:
    asked = {"collection": collection, "query_hash": question}
    return [table.c[name] == value for name, value in asked.items() if value is not None]


_TABLES: dict[type, sa.Table] = {Impression: IMPRESSIONS, Event: EVENTS, Saying: SAYINGS}


@contextmanager
def _naming_damage(place: FeedbackPlace) -> Iterator[None]:
    """What cannot be read is an error that says what to do: no collection depends on this file."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise _damaged(place, str(error)) from error
    except StorageError as error:
        said = str(getattr(error.__cause__, "orig", ""))  # by SQLite
        if any(sign in said for sign in _DAMAGE):
            raise _damaged(place, said) from error
        raise


def _damaged(place: FeedbackPlace, why: str) -> StorageError:
    return StorageError(
        f"{place.database} is damaged ({why}): move it away to begin anew; no collection needs it"
    )
