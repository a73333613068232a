"""Feedback follows documents that got another id: a file that was renamed, a row on another line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from app.feedback.model import Event, Impression, Saying
from app.feedback.place import FeedbackPlace, feedback_place
from app.feedback.rows import to_row
from app.feedback.table import EVENTS, FOLLOWED, IMPRESSIONS, SAYINGS, read_rows, write_feedback
from app.settings import Location
from indexing.errors import IndexingError

if TYPE_CHECKING:
    from indexing import Collection

__all__ = ["follow_renames"]

Rename = tuple[int, str, str, str]
"""Number, old id, new id, time; those of one number happened at once."""


def follow_renames(location: Location, collection: Collection) -> str | None:
    """Gives what was said of renamed documents their new ids, once each; what was said of another document
    that has the old id since stays. Why it could not be done, in a sentence, or None; the next run tries
    again.
    """
    place = feedback_place(location)
    if not place.exists:
        return None
    try:
        _follow(place, collection)
    except IndexingError as error:
        return f"feedback on renamed documents has yet to follow them: {error}"
    return None


def _follow(place: FeedbackPlace, collection: Collection) -> None:
    uuid = collection.uuid
    with write_feedback(place) as connection:
        last = connection.scalar(sa.select(FOLLOWED.c.last).where(FOLLOWED.c.collection == uuid)) or 0
        renames = collection.renames_after(last)
        if not renames:
            return
        path = _Path(renames)
        for saying in read_rows(place, Saying, [SAYINGS.c.collection == uuid], SAYINGS.c.id):
            shown = tuple(path.end(document, saying.at) for document in saying.shown)
            document = path.end(saying.document, saying.at)
            _update(connection, SAYINGS, saying, replace(saying, document=document, shown=shown))
        for event in read_rows(place, Event, [EVENTS.c.collection == uuid], EVENTS.c.id):
            _update(connection, EVENTS, event, replace(event, document=path.end(event.document, event.at)))
        for impression in read_rows(place, Impression, [IMPRESSIONS.c.collection == uuid], IMPRESSIONS.c.at):
            answers = tuple(
                replace(one, document=path.end(one.document, impression.at)) for one in impression.shown
            )
            _update(connection, IMPRESSIONS, impression, replace(impression, shown=answers))
        connection.execute(FOLLOWED.delete().where(FOLLOWED.c.collection == uuid))
        connection.execute(FOLLOWED.insert().values(collection=uuid, last=renames[-1][0]))


def _update(
    connection: sa.Connection,
    table: sa.Table,
    before: Impression | Event | Saying,
    now: Impression | Event | Saying,
) -> None:
    if now != before:
        connection.execute(table.update().where(table.c.id == before.id).values(to_row(now)))


class _Path:
    """Where renames lead to."""

    def __init__(self, renames: Sequence[Rename]) -> None:
        self._steps: dict[str, list[tuple[int, str, float]]] = {}
        for number, old, new, at in renames:
            # A rename is known to the second: it came after what was said within that second.
            moment = datetime.fromisoformat(at).timestamp() + 1.0
            self._steps.setdefault(old, []).append((number, new, moment))

    def end(self, document: str, said: float) -> str:
        """What `document` is called at the end that was called so at the moment `said`."""
        reached = 0
        while step := _next(self._steps.get(document, ()), reached, said):
            reached, document, _ = step
        return document


def _next(
    steps: Iterable[tuple[int, str, float]], reached: int, said: float
) -> tuple[int, str, float] | None:
    return next((step for step in steps if step[0] > reached and step[2] >= said), None)
