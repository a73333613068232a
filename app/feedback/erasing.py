"""Forgetting: what is old, and what somebody wants gone. Nothing of it stays in the database's files.

Deleted rows are overwritten (`secure_delete`), then the file is written anew and the write-ahead log emptied.
What cannot be reached from here is named in the receipt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from app.feedback.hashes import keyed_hash
from app.feedback.judged.places import forget_places
from app.feedback.model import Event, Impression, Saying
from app.feedback.place import FeedbackPlace
from app.feedback.questions import question_hash
from app.feedback.rows import to_row
from app.feedback.table import (
    EVENTS,
    FOLLOWED,
    IMPRESSIONS,
    PLACES,
    SAYINGS,
    WRITING,
    feedback_database,
    stream_records,
    write_feedback,
)
from indexing.catalog.database import map_errors
from indexing.catalog.dialect import dialect_of
from indexing.catalog.log import slices
from indexing.documents.model import storable_text
from indexing.errors import BadInput, IndexingError

__all__ = [
    "Erased",
    "Learned",
    "Wanted",
    "erase_feedback",
    "forget_collection",
    "forget_old",
    "select_feedback",
]

Record = TypeVar("Record", Impression, Event, Saying)

_DAY = 86_400.0

OUT_OF_REACH = (
    "backups and copies of the database, and what the disk or a snapshot of it keeps of deleted blocks",
    "documents of the collection that hold the same words: `stlib delete` deletes those",
    "searches of the last second that other processes have yet to write",
    "reports that were written to files, and results of jobs that ended: `stlib jobs`",
)


@dataclass(frozen=True)
class Wanted:
    """Which feedback of a collection: that of a person, a question, a document (or any of `documents`), or
    what fulfils all that is given.
    """

    person: str | None = None
    question: str | None = None
    document: str | None = None
    documents: frozenset[str] = frozenset()

    @property
    def given(self) -> bool:
        return bool(self.documents) or any(
            value is not None for value in (self.person, self.question, self.document)
        )

    @property
    def gone(self) -> frozenset[str]:
        """The documents that are named."""
        return self.documents if self.document is None else self.documents | {self.document}


@dataclass(frozen=True)
class Erased:
    """What was erased: rows of each kind, and answers that a document was taken out of.

    Attributes:
        pending: why the old bytes may still be in the file; None if they are gone.
        servings: that were tuned with a question of what was erased, and keep what they learned.
        out_of_reach: what may hold it besides, in words.
    """

    impressions: int
    events: int
    sayings: int
    shortened: int = 0
    pending: str | None = None
    servings: tuple[int, ...] = ()
    out_of_reach: tuple[str, ...] = OUT_OF_REACH

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


class Learned(Protocol):
    """What was learned from feedback, which lies elsewhere. Questions are given by their hashes."""

    def servings_of(self, questions: Iterable[str]) -> Sequence[int]:
        """Servings that were tuned with any of them."""

    def forget_texts(self, questions: Collection[str]) -> None:
        """Takes their words out of reports, at once."""

    def write_anew(self) -> str | None:
        """Gets rid of the bytes of what was taken out, now or before; why they may still be there, or
        None.
        """


def forget_old(connection: sa.Connection, days: int) -> None:
    """Deletes searches and clicks that are older. Sayings stay until somebody erases them."""
    oldest = time.time() - days * _DAY
    for table in (EVENTS, IMPRESSIONS):
        connection.execute(table.delete().where(table.c.at < oldest))


def select_feedback(
    place: FeedbackPlace, collection: str, wanted: Wanted
) -> tuple[list[Impression], list[Event], list[Saying]]:
    """What is kept of `wanted`, or of everything. A click belongs to the question that was asked.

    Raises:
        StorageError: the database is damaged.
    """
    gone = wanted.gone

    def kept(
        record: type[Record], table: sa.Table, order: Any, keeps: Callable[[Record], bool]
    ) -> list[Record]:
        rows = stream_records(place, record, _conditions(table, collection, wanted), order)
        return [one for one in rows if not gone or keeps(one)]

    impressions = kept(
        Impression,
        IMPRESSIONS,
        IMPRESSIONS.c.at,
        lambda one: any(shown.document in gone for shown in one.shown),
    )
    events = kept(Event, EVENTS, EVENTS.c.id, lambda one: one.document in gone)
    sayings = kept(Saying, SAYINGS, SAYINGS.c.id, lambda one: not gone.isdisjoint(one.documents))
    if wanted.question is not None:
        asked = _asked(place, collection, wanted)
        events = [event for event in events if event.impression in asked]
    return impressions, events, sayings


def _asked(place: FeedbackPlace, collection: str, wanted: Wanted) -> set[str]:
    """Answers to the question, whatever they showed."""
    rows = stream_records(place, Impression, _conditions(IMPRESSIONS, collection, wanted), IMPRESSIONS.c.at)
    return {one.id for one in rows}


def _conditions(table: sa.Table, collection: str, wanted: Wanted) -> list[Any]:
    conditions = [table.c.collection == collection]
    if wanted.person is not None:
        name = storable_text(wanted.person)
        names = [name, keyed_hash(name)]
        unnamed = (table.c.who == "") & table.c.session.in_(names)
        conditions.append(table.c.who.in_(names) | unnamed if name else unnamed)
    if wanted.question is not None and table is not EVENTS:
        hashed = question_hash(wanted.question)
        conditions.append(table.c.query_hash.in_([hashed, keyed_hash(hashed)]))
    return conditions


def erase_feedback(
    place: FeedbackPlace,
    collection: str,
    wanted: Wanted,
    learned: Learned | None = None,
) -> Erased:
    """Erases what is kept of `wanted` in a collection (its uuid). An answer that showed an erased document
    stays, without it, unless its person or question is erased as well.

    Servings that `learned` from what is erased keep what they learned, and the receipt names them; words of
    questions that nobody else asked or judged go from the reports.

    Raises:
        BadInput: nothing is named.
        StorageError, LockedError: nothing was erased.
    """
    if not wanted.given:
        raise BadInput("nothing is named: say whose, which question's or which document's feedback to erase")
    if not place.exists:
        return Erased(0, 0, 0)
    with write_feedback(place) as connection:
        # Nobody else writes between looking and deleting: the transaction holds the lock.
        impressions, events, sayings = select_feedback(place, collection, wanted)
        gone_documents = wanted.gone
        whole = [] if gone_documents else impressions
        _delete(connection, IMPRESSIONS, [one.id for one in whole])
        _delete(connection, EVENTS, [one.id for one in events])
        shown = [one for one in sayings if gone_documents and one.document not in gone_documents]
        _delete(connection, SAYINGS, [one.id for one in sayings if one not in shown])
        for impression in impressions if gone_documents else []:
            left = tuple(one for one in impression.shown if one.document not in gone_documents)
            _update(connection, IMPRESSIONS, replace(impression, shown=left))
        for saying in shown:
            left_out = tuple(one for one in saying.shown if one not in gone_documents)
            _update(connection, SAYINGS, replace(saying, shown=left_out))
        hashes = {one.query_hash for one in sayings} | {one.query_hash for one in whole}
        if wanted.question is not None:
            hashes.add(question_hash(wanted.question))
        forget_places(connection, collection, hashes)
        gone = {hashed for hashed in hashes if not _is_kept(connection, collection, hashed)}
        # Within the transaction: once it is over nothing says any more which questions these were.
        servings = tuple(learned.servings_of(hashes)) if learned else ()
        if learned:
            learned.forget_texts(gone)
    # After it: as long as a transaction goes on a server keeps all rows that it might look at.
    pending = learned.write_anew() if learned else None
    return Erased(
        len(whole),
        len(events),
        len(sayings) - len(shown),
        len(shown) + len(impressions) - len(whole),
        _join(_give_space_back(place), pending),
        servings,
    )


def _join(*pending: str | None) -> str | None:
    return "; ".join(filter(None, pending)) or None


def _is_kept(connection: sa.Connection, collection: str, hashed: str) -> bool:
    """Whether anybody's search or saying still has this question."""
    return any(
        connection.execute(
            sa.select(table.c.id)
            .where(table.c.collection == collection, table.c.query_hash == hashed)
            .limit(1)
        ).first()
        for table in (SAYINGS, IMPRESSIONS)
    )


def forget_collection(place: FeedbackPlace, collection: str) -> str | None:
    """Erases all that is kept of a collection (its uuid) that was deleted, as nothing names it any more.
    Returns why the old bytes may still be in the file, or None.

    Raises:
        StorageError, LockedError: nothing was erased.
    """
    if not place.exists:
        return None
    with write_feedback(place) as connection:
        for table in (IMPRESSIONS, EVENTS, SAYINGS, PLACES, FOLLOWED):
            connection.execute(table.delete().where(table.c.collection == collection))
    return _give_space_back(place)


def _delete(connection: sa.Connection, table: sa.Table, ids: Iterable[Any]) -> None:
    for part in slices(ids):
        connection.execute(table.delete().where(table.c.id.in_(part)))


def _update(connection: sa.Connection, table: sa.Table, item: Impression | Saying) -> None:
    connection.execute(table.update().where(table.c.id == item.id).values(to_row(item)))


def _give_space_back(place: FeedbackPlace) -> str | None:
    """Writes the database anew; why it could not, or None."""
    engine = feedback_database(place)
    tables = [table.name for table in (IMPRESSIONS, EVENTS, SAYINGS, PLACES)]
    try:
        with WRITING, map_errors(engine):
            why = dialect_of(engine).scrub(engine, tables)
    except IndexingError as error:
        why = str(error)
    if why is None:
        return None
    return (
        f"pending: the old bytes may still be in the file: {why}; the next `stlib feedback erase` tries again"
    )
