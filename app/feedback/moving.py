"""What was asked and said of a collection, in another place.

What is there already stays and is not added again, so that a copy that was interrupted is made whole by the
next. Every row is read as those are that came with a copied home: what none of ours wrote is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from app.feedback.model import Event, Impression, Saying
from app.feedback.place import FeedbackPlace, feedback_place
from app.feedback.rows import read_row
from app.feedback.table import (
    EVENTS,
    FOLLOWED,
    IMPRESSIONS,
    PLACES,
    SAYINGS,
    add_rows,
    open_to_read,
    write_feedback,
)
from app.settings import Location
from indexing.catalog.bulk import stream_rows

__all__ = ["copy_feedback"]

Record = TypeVar("Record", Impression, Event, Saying)

_BATCH = 1_000
_TABLES: dict[type, tuple[sa.Table, Any]] = {
    Impression: (IMPRESSIONS, IMPRESSIONS.c.at),
    Event: (EVENTS, EVENTS.c.id),
    Saying: (SAYINGS, SAYINGS.c.id),
}


@dataclass(frozen=True)
class _Move:
    """Of the collection `original` (its uuid), which is `uuid` there and whose servings have numbers that are
    larger by `servings`.
    """

    original: str
    uuid: str
    servings: int


def copy_feedback(source: Location, target: Location, original: str, uuid: str, servings: int) -> int:
    """Writes what is kept of the collection `original` (its uuid) at `source` into `target`, as of `uuid`;
    `servings` is by how much the numbers of servings are larger there. Returns how many searches, clicks and
    sayings were added.

    Raises:
        StorageError, LockedError: a database is damaged or cannot be written; nothing was added.
    """
    return _copy(feedback_place(source), feedback_place(target), _Move(original, uuid, servings))


def _copy(source: FeedbackPlace, target: FeedbackPlace, move: _Move) -> int:
    if not source.exists:
        return 0
    with ExitStack() as stack:
        reader = stack.enter_context(open_to_read(source))
        first = [
            reader.execute(sa.select(table.c.collection).where(table.c.collection == move.original)).first()
            for table in (IMPRESSIONS, EVENTS, SAYINGS, PLACES, FOLLOWED)
        ]
        if not any(first):
            return 0  # and no database is made for nothing
        writer = stack.enter_context(write_feedback(target))
        added = 0
        added += _copy_records(reader, writer, Impression, move)
        added += _copy_records(reader, writer, Event, move)
        added += _copy_records(reader, writer, Saying, move)
        for table in (PLACES, FOLLOWED):
            _copy_plain(reader, writer, table, move)
        return added


def _copy_records(reader: sa.Connection, writer: sa.Connection, record: type[Record], move: _Move) -> int:
    there = {_apart(one) for one in _read(writer, record, move.uuid)}
    rows = (_moved(one, move) for one in _read(reader, record, move.original))
    return _add(writer, (one for one in rows if _apart(one) not in there))


def _read(connection: sa.Connection, record: type[Record], uuid: str) -> Iterator[Record]:
    table, order = _TABLES[record]
    statement = sa.select(*table.c).where(table.c.collection == uuid).order_by(order)
    for row in stream_rows(connection, statement, _BATCH):
        yield read_row(record, row)


def _apart(one: Impression | Event | Saying) -> bytes:
    """By what one is told from another, as a hash; the number of a row is no part of it."""
    said = one.id if isinstance(one, Impression) else repr(replace(one, id=0))
    return hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _add(connection: sa.Connection, items: Iterable[Impression | Event | Saying]) -> int:
    items = iter(items)
    added = 0
    while batch := list(islice(items, _BATCH)):
        add_rows(connection, batch)
        added += len(batch)
    return added


def _copy_plain(reader: sa.Connection, writer: sa.Connection, table: sa.Table, move: _Move) -> None:
    """Rows of texts and whole numbers, of which there is one for a key."""

    def of(connection: sa.Connection, uuid: str) -> Sequence[Any]:
        return connection.execute(sa.select(table).where(table.c.collection == uuid)).mappings().all()

    keys = [column.name for column in table.primary_key.columns]
    there = {tuple(row[key] for key in keys) for row in of(writer, move.uuid)}
    rows = []
    for row in of(reader, move.original):
        for column in table.columns:
            if not isinstance(row[column.name], int if isinstance(column.type, sa.Integer) else str):
                raise ValueError(f"{str(row[column.name])[:40]!r} stands where it cannot")
        moved = {**row, "collection": move.uuid}
        if tuple(moved[key] for key in keys) not in there:
            rows.append(moved)
    if rows:
        writer.execute(table.insert(), rows)


def _moved(one: Record, move: _Move) -> Record:
    """As it is of the copy: of its uuid, naming its servings."""
    if isinstance(one, Impression):
        by = move.servings
        return replace(
            one,
            id=_answer(one.id, move),
            collection=move.uuid,
            serving=None if one.serving is None else one.serving + by,
            trial=None if one.trial is None else (one.trial[0] + by, one.trial[1] + by),
            shown=tuple(
                shown if shown.team is None else replace(shown, team=shown.team + by) for shown in one.shown
            ),
        )
    return replace(one, id=0, collection=move.uuid, impression=_answer(one.impression, move))


def _answer(id_: str, move: _Move) -> str:
    """The id of an answer: another one where the original and its answers are there too."""
    if not id_ or move.uuid == move.original:
        return id_
    return hashlib.blake2b(f"{move.uuid}\0{id_}".encode(), digest_size=16).hexdigest()
