"""Rows of what is erased: the request itself, and all in the catalog that holds or names a document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, or_, select, update

from indexing.catalog.bulk import stream_rows
from indexing.catalog.collections import drop_loads, now
from indexing.catalog.denials import ToDeny, deny
from indexing.catalog.generations import generations_of, pass_on
from indexing.catalog.log import mark_deleted, slices, take_seqs
from indexing.catalog.schema import (
    DOCUMENTS,
    Chunk,
    CollectionRow,
    DocumentRow,
    Erasure,
    FileRow,
    Generation,
    Removal,
    Renamed,
    ServingRow,
    SourceRow,
)

__all__ = [
    "BEGUN",
    "DONE",
    "PENDING",
    "ErasureInfo",
    "Gathered",
    "Wanted",
    "begin_erasure",
    "delete_rows",
    "detach_files",
    "erasures_of",
    "forget_marks",
    "forget_names",
    "forget_wanted",
    "gather",
    "note_erasure",
    "outdate_views",
]

BEGUN, PENDING, DONE = "begun", "pending", "done"
ERASED = "(erased)"
"""Stands in a text where an id was."""

_MOST_RENAMES = 100
_READ_AT_ONCE = 1_000
_TEXTS_AT_ONCE = 64  # up to megabytes each
_BATCH = 400  # statements below bind several values for each


@dataclass(frozen=True)
class Wanted:
    """What is to be erased, as the catalog keeps it while it is under way.

    Attributes:
        ids: of the documents.
        former: ids that they had before, and that no other document has now.
        titles: of the documents.
        paths: of the files that they were read from. Numbers of rows are others in a copy.
        beyond: whether what is kept beside the collection is to be erased too.
    """

    ids: tuple[str, ...]
    former: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    beyond: bool = False

    @property
    def names(self) -> frozenset[str]:
        """All ids, those of before too."""
        return frozenset(self.ids) | frozenset(self.former)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> Wanted:
        ids, former, titles, paths = (
            tuple(map(str, said[name])) for name in ("ids", "former", "titles", "paths")
        )
        return cls(ids, former, titles, paths, said["beyond"] is True)


@dataclass(frozen=True)
class ErasureInfo:
    """A row of `erasure`, see `indexing.catalog.schema.Erasure`."""

    id: int
    documents: int
    who: str
    begun_at: str
    ended_at: str | None
    state: str
    wanted: dict[str, Any] | None
    receipt: dict[str, Any] | None


def erasures_of(connection: Connection, collection_id: int, *, open_only: bool = False) -> list[ErasureInfo]:
    """The oldest first; with `open_only` those that are not done."""
    columns = [getattr(Erasure, name) for name in ErasureInfo.__dataclass_fields__]
    statement = select(*columns).where(Erasure.collection_id == collection_id).order_by(Erasure.id)
    if open_only:
        statement = statement.where(Erasure.state != DONE)
    return [ErasureInfo(*row) for row in connection.execute(statement)]


# --- before anything is deleted ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Gathered:
    """What has to be known of documents to find their traces.

    Attributes:
        denied: digests of what must not come back, see `indexing.catalog.denials`.
        found: how many of them are there.
        same_texts: how many other documents have the very text of one of them.
    """

    wanted: Wanted
    denied: ToDeny
    found: int
    same_texts: int


def gather(connection: Connection, collection_id: int, ids: Iterable[str]) -> Gathered:
    """Reads what an erasure has to know. Nobody may change documents until it has begun."""
    wanted = tuple(dict.fromkeys(ids))
    denied = ToDeny.of(connection, collection_id, wanted)
    texts: set[bytes] = set()
    there = 0
    titles: dict[str, None] = {}
    rows: dict[int, None] = {}
    for part in slices(wanted, _BATCH):
        found = connection.execute(
            select(DocumentRow.id, DocumentRow.title, DocumentRow.text, DocumentRow.file_id).where(
                DocumentRow.collection_id == collection_id, DocumentRow.id.in_(part), ~DocumentRow.deleted
            )
        )
        for id_, title, text, file_id in found:
            there += 1
            texts.add(_hash_of(text))
            denied.add_text(id_, text)
            if title:
                titles[title] = None
            if file_id is not None:
                rows[file_id] = None
    former = _former_ids(connection, collection_id, wanted)
    return Gathered(
        Wanted(wanted, former, tuple(titles), tuple(_paths(connection, rows))),
        denied,
        there,
        _count_same_texts(connection, collection_id, frozenset(wanted), texts),
    )


def _count_same_texts(
    connection: Connection, collection_id: int, ids: frozenset[str], texts: Collection[bytes]
) -> int:
    """In one pass over all documents, of which a few are held at once."""
    if not texts:
        return 0
    mine = (DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
    rows = stream_rows(connection, select(DocumentRow.id, DocumentRow.text).where(*mine), _TEXTS_AT_ONCE)
    return sum(id_ not in ids and _hash_of(text) in texts for id_, text in rows)


def _hash_of(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _paths(connection: Connection, rows: Iterable[int]) -> list[str]:
    return [
        f"{row[0]}/{row[1]}"
        for part in slices(rows)
        for row in connection.execute(
            select(SourceRow.root, FileRow.name)
            .join(SourceRow, SourceRow.id == FileRow.source_id)
            .where(FileRow.id.in_(part))
        )
    ]


def _former_ids(connection: Connection, collection_id: int, ids: Collection[str]) -> tuple[str, ...]:
    """Ids that these had before, but for those that another document has now."""
    former = {old for _, old in _chains(connection, collection_id, ids)} - set(ids)
    taken: set[str] = set()
    for part in slices(former):
        taken |= set(
            connection.scalars(
                select(DocumentRow.id).where(
                    DocumentRow.collection_id == collection_id, DocumentRow.id.in_(part), ~DocumentRow.deleted
                )
            )
        )
    return tuple(sorted(former - taken))


def _chains(connection: Connection, collection_id: int, ids: Iterable[str]) -> list[tuple[int, str]]:
    """(row, old id) of the renames that led to these ids, back to the first. Those of one batch happened at
    once, so that none of them led to another.
    """
    found: dict[int, str] = {}
    reached: dict[str, int | None] = dict.fromkeys(ids)
    for _ in range(_MOST_RENAMES):
        latest: dict[str, tuple[int, int, str]] = {}
        for part in slices(reached):
            rows = connection.execute(
                select(Renamed.batch, Renamed.id, Renamed.old_id, Renamed.new_id)
                .where(Renamed.collection_id == collection_id, Renamed.new_id.in_(part))
                .order_by(Renamed.id)
            )
            for batch, row, old, new in rows:
                limit = reached[new]
                if limit is None or batch < limit:
                    latest[new] = batch, row, old
        if not latest:
            break
        found |= {row: old for _, row, old in latest.values()}
        reached = {old: batch for batch, _, old in latest.values()}
    return list(found.items())


def begin_erasure(
    connection: Connection, collection_id: int, gathered: Gathered, who: str, *, beyond: bool = False
) -> int:
    """Writes the request down, and denies what it names from now on; returns its number. Plans of bulk loads
    name files and may quote what could not be read: they are made anew.
    """
    drop_loads(connection, collection_id)
    wanted = replace(gathered.wanted, beyond=beyond)
    row = {
        "collection_id": collection_id,
        "documents": len(wanted.ids),
        "who": who,
        "begun_at": now(),
        "state": BEGUN,
        "wanted": wanted.to_json(),
        "receipt": {"found": gathered.found, "same_texts": gathered.same_texts},
    }
    connection.execute(insert(Erasure), row)
    number = connection.execute(
        select(func.max(Erasure.id)).where(Erasure.collection_id == collection_id)
    ).scalar_one()
    deny(connection, collection_id, number, gathered.denied)
    return int(number)


# --- deleting ----------------------------------------------------------------------------------------------


def delete_rows(connection: Connection, collection_id: int, ids: Iterable[str]) -> dict[str, int]:
    """Deletes documents with their passages and codes, in every generation; counts what there was."""
    counts = {"documents": 0, "passages": 0}
    wanted = list(dict.fromkeys(ids))
    for part in slices(wanted, _BATCH):
        counts["passages"] += (
            connection.scalar(
                select(func.count())
                .select_from(Chunk)
                .join(DocumentRow, DocumentRow.key == Chunk.document_key)
                .where(DocumentRow.collection_id == collection_id, DocumentRow.id.in_(part))
            )
            or 0
        )
    before = _last_seq(connection, collection_id)
    counts["documents"] = len(mark_deleted(connection, collection_id, wanted))
    pass_on(connection, collection_id, before, _last_seq(connection, collection_id))
    return counts


def outdate_views(connection: Connection, collection_id: int) -> None:
    """Raises the numbers of changes, of the log and of each generation: once marks up to there are forgotten,
    no snapshot of before is used any more, on any machine.
    """
    before = _last_seq(connection, collection_id)
    pass_on(connection, collection_id, before, take_seqs(connection, collection_id, 1))
    mine = Generation.collection_id == collection_id
    connection.execute(update(Generation).where(mine).values(last_change=Generation.last_change + 1))


def forget_names(connection: Connection, collection_id: int, wanted: Wanted) -> dict[str, int]:
    """Deletes rows that name documents which are gone: renames, files that hold nothing else, verdicts."""
    chains = [row for row, _ in _chains(connection, collection_id, wanted.ids)]
    onwards = _renamed_from(connection, collection_id, wanted.names)
    renamed = 0
    for part in slices({*chains, *onwards}):
        renamed += connection.execute(delete(Renamed).where(Renamed.id.in_(part))).rowcount
    files = 0
    for rows in slices(_files_at(connection, collection_id, wanted.paths)):
        left = select(DocumentRow.file_id).where(DocumentRow.file_id.in_(rows))
        doomed = delete(FileRow).where(FileRow.id.in_(rows), FileRow.id.not_in(left))
        files += connection.execute(doomed).rowcount
    _blank_verdicts(connection, collection_id, wanted.names)
    return {"renames": renamed, "files": files}


def _renamed_from(connection: Connection, collection_id: int, names: Iterable[str]) -> list[int]:
    """Renames away from a name that nobody has any more, to one that nobody has."""
    there = select(DocumentRow.id).where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
    return [
        row
        for part in slices(names)
        for row in connection.scalars(
            select(Renamed.id).where(
                Renamed.collection_id == collection_id,
                or_(Renamed.old_id.in_(part), Renamed.new_id.in_(part)),
                Renamed.new_id.not_in(there),
            )
        )
    ]


def _blank_verdicts(connection: Connection, collection_id: int, names: frozenset[str]) -> None:
    """The verdict on a serving may name answers to judge."""
    rows = connection.execute(
        select(ServingRow.id, ServingRow.gate).where(
            ServingRow.collection_id == collection_id, ServingRow.gate.is_not(None)
        )
    ).all()
    for id_, gate in rows:
        blanked = _blank(gate, names)
        if blanked != gate:
            connection.execute(update(ServingRow).where(ServingRow.id == id_).values(gate=blanked))


def _blank(said: Any, names: frozenset[str]) -> Any:
    if isinstance(said, str):
        return ERASED if said in names else said
    if isinstance(said, dict):
        return {_blank(name, names): _blank(value, names) for name, value in said.items()}
    return [_blank(one, names) for one in said] if isinstance(said, list) else said


def detach_files(connection: Connection, paths: Iterable[str], collection_id: int) -> int:
    """Files that are gone for good: what else was read from them stays, as documents without a file. Returns
    how many documents these are.
    """
    detached = 0
    for part in slices(_files_at(connection, collection_id, paths)):
        of_files = DOCUMENTS.c.file_id.in_(part)
        values = {"file_id": None, "origin": None}
        detached += connection.execute(update(DOCUMENTS).where(of_files).values(values)).rowcount
        connection.execute(delete(FileRow).where(FileRow.id.in_(part)))
    return detached


def _files_at(connection: Connection, collection_id: int, paths: Iterable[str]) -> list[int]:
    """Rows of a collection's own files."""
    wanted = set(paths)
    if not wanted:
        return []
    statement = (
        select(FileRow.id, SourceRow.root, FileRow.name)
        .join(SourceRow, SourceRow.id == FileRow.source_id)
        .where(SourceRow.collection_id == collection_id)
    )
    rows = stream_rows(connection, statement, _READ_AT_ONCE)
    return [row[0] for row in rows if f"{row[1]}/{row[2]}" in wanted]


def forget_marks(connection: Connection, collection_id: int) -> None:
    """Deletes the marks of deleted documents and removed passages, whose ids and keys they tell. Every view
    that had not followed the log to its end starts anew, in every process.
    """
    mine = DocumentRow.collection_id == collection_id
    connection.execute(delete(DocumentRow).where(mine, DocumentRow.deleted))
    for generation in generations_of(connection, collection_id):
        connection.execute(delete(Removal).where(Removal.generation_id == generation.id))
        connection.execute(
            update(Generation)
            .where(Generation.id == generation.id)
            .values(purged_change=Generation.last_change)
        )
    connection.execute(
        update(CollectionRow)
        .where(CollectionRow.id == collection_id)
        .values(purged_seq=CollectionRow.last_seq, epoch=CollectionRow.epoch + 1)
    )


# --- at the end --------------------------------------------------------------------------------------------


def forget_wanted(connection: Connection, numbers: Iterable[int]) -> None:
    """The request itself no longer names anything."""
    rows = [{"the_id": number} for number in numbers]
    if rows:
        statement = update(Erasure.__table__).where(Erasure.__table__.c.id == bindparam("the_id"))  # type: ignore[arg-type]
        connection.execute(statement.values(wanted=None), rows)


def note_erasure(connection: Connection, number: int, state: str, receipt: dict[str, Any]) -> None:
    """What came of it. The receipt must not name what was erased."""
    json.dumps(receipt, allow_nan=False)
    values = {"state": state, "receipt": receipt, "ended_at": now() if state == DONE else None}
    connection.execute(update(Erasure).where(and_(Erasure.id == number)).values(values))


def _last_seq(connection: Connection, collection_id: int) -> int:
    return connection.execute(
        select(CollectionRow.last_seq).where(CollectionRow.id == collection_id)
    ).scalar_one()
