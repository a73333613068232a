"""The table of where questions are, kept with the sayings; see `app.feedback.judged.split`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import sqlalchemy as sa

from app.feedback.judged.model import HELDOUT, TRAIN
from app.feedback.judged.split import Placed, place_questions
from app.feedback.place import FeedbackPlace
from app.feedback.table import IMPRESSIONS, PLACES, SAYINGS, open_to_read, write_feedback
from indexing.catalog.dialect import dialect_of
from indexing.catalog.unwritable import is_unwritable

__all__ = ["forget_places", "place_and_keep"]


def place_and_keep(place: FeedbackPlace, collection: str, texts: Mapping[str, str]) -> dict[str, Placed]:
    """Where the questions of a collection (its uuid) are, id → text in the order in which they were first
    judged. Those that are not placed yet are, and that is kept before anybody reads it.

    Raises:
        StorageError: the database is damaged.
        LockedError: another process writes for too long.
    """
    if not texts:
        return {}
    with open_to_read(place) as connection:
        known = _read(connection, collection)
    if texts.keys() <= known.keys():
        return known
    if isinstance(place.database, Path) and is_unwritable(
        place.database
    ):  # a home that is only read: nothing can be kept, nor learned there
        return {**known, **place_questions(known, texts)}
    with write_feedback(place) as connection:  # of two that look at once the second reads what the first kept
        known = _read(connection, collection)
        fresh = place_questions(known, texts)
        _keep(connection, collection, fresh)
    return {**known, **fresh}


def _read(connection: sa.Connection, collection: str) -> dict[str, Placed]:
    """Raises ValueError where something else than `_keep` wrote there."""
    rows = connection.execute(sa.select(PLACES).where(PLACES.c.collection == collection))
    places = {row.question: Placed(row.side, row.grouped, bool(row.out)) for row in rows}
    for question, placed in places.items():
        texts = (question, placed.drawn, placed.group)
        if placed.drawn not in (TRAIN, HELDOUT) or not all(isinstance(one, str) for one in texts):
            raise ValueError(f"a question has side {str(placed.drawn)[:40]!r}")
    return places


def _keep(connection: sa.Connection, collection: str, fresh: Mapping[str, Placed]) -> None:
    rows = [
        {
            "collection": collection,
            "question": question,
            "side": placed.drawn,
            "grouped": placed.group,
            "out": int(placed.out),
        }
        for question, placed in fresh.items()
    ]
    if rows:
        connection.execute(dialect_of(connection).insert_or_replace(PLACES), rows)


def forget_places(connection: sa.Connection, collection: str, questions: Iterable[str]) -> None:
    """Deletes the places of those questions that nobody has asked or judged, in a transaction that writes."""
    for question in questions:
        if any(_is_kept(connection, table, collection, question) for table in (SAYINGS, IMPRESSIONS)):
            continue
        connection.execute(PLACES.delete().where(_of(collection, PLACES.c.question == question)))
        named = _of(collection, PLACES.c.grouped == question)
        left = connection.execute(sa.select(sa.func.min(PLACES.c.question)).where(named)).scalar()
        if left is not None:  # the group is called by another one
            connection.execute(PLACES.update().where(named).values(grouped=left))


def _of(collection: str, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    return (PLACES.c.collection == collection) & condition


def _is_kept(connection: sa.Connection, table: sa.Table, collection: str, question: str) -> bool:
    same = (table.c.collection == collection) & (table.c.query_hash == question)
    return connection.execute(sa.select(table.c.id).where(same).limit(1)).first() is not None
