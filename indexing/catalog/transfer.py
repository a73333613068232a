"""The rows of one collection, all of them: read from one catalog, written into another, compared there.

A collection keeps its numbers where they are free. In a catalog that others are in it gets new ones, each
kind moved by one distance, so that what refers to a row goes on doing so; `Numbers` says by how much.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, cast

from sqlalchemy import JSON, Connection, Select, Table, func, insert, select, update

from indexing.catalog.dialect import dialect_of
from indexing.catalog.schema import (
    CHUNKS,
    CODE_TABLES,
    DOCUMENTS,
    Artifact,
    Base,
    CollectionRow,
    Counter,
    Denial,
    Erasure,
    FileRow,
    Generation,
    Promotion,
    Removal,
    Renamed,
    ServingRow,
    SourceRow,
)
from indexing.catalog.types import StoredJson
from indexing.errors import StorageError, UnknownCollection

__all__ = [
    "LEFT_OUT",
    "PARTS",
    "Numbers",
    "Part",
    "Transferred",
    "copy_rows",
    "count_rows",
    "reserve_numbers",
]

TransferProgress = Callable[[int, int], None]
"""Called with the rows that are written, and all there are."""

_NARROW, _WIDE = 2_000, 64  # rows held at once: of a few hundred bytes, and of up to megabytes


def _table(row: type[Base]) -> Table:
    return cast(Table, row.__table__)


@dataclass(frozen=True)
class Part:
    """The rows of a collection in one table.

    Attributes:
        select: of the rows of a collection (its id and those of its generations), in the order of their keys.
        numbers: columns that hold numbers of rows, each with the kind of row, which is a name of a table.
        batch: rows that are held at once.
    """

    table: Table
    select: Callable[[int, Sequence[int]], Select[Any]]
    numbers: Mapping[str, str]
    batch: int = _NARROW

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.columns)


def _of_collection(table: Table) -> Callable[[int, Sequence[int]], Select[Any]]:
    # Adding nothing keeps SQLite from an index that would make it sort everything.
    return lambda id_, _: (
        select(table).where(table.c.collection_id + 0 == id_).order_by(*table.primary_key.columns)
    )


def _of_generations(table: Table) -> Callable[[int, Sequence[int]], Select[Any]]:
    return lambda _, generations: (
        select(table).where((table.c.generation_id + 0).in_(generations)).order_by(table.c.key)
    )


def _of_chunks(table: Table) -> Callable[[int, Sequence[int]], Select[Any]]:
    return lambda _, generations: (
        select(table)
        .join(CHUNKS, CHUNKS.c.key == table.c.key)
        .where((CHUNKS.c.generation_id + 0).in_(generations))
        .order_by(CHUNKS.c.key)
    )


def _of_sources(id_: int, _: Sequence[int]) -> Select[Any]:
    files, sources = _table(FileRow), _table(SourceRow)
    mine = select(sources.c.id).where(sources.c.collection_id == id_)
    return select(files).where(files.c.source_id.in_(mine)).order_by(files.c.id)


def _plain(row: type[Base], numbers: Mapping[str, str], batch: int = _NARROW) -> Part:
    table = _table(row)
    return Part(table, _of_collection(table), {"collection_id": "collection", **numbers}, batch)


PARTS = (
    _plain(Generation, {"id": "generation"}),
    _plain(ServingRow, {"id": "serving", "generation_id": "generation", "made_from": "serving"}),
    _plain(Artifact, {}, _WIDE),
    _plain(Promotion, {"id": "promotion", "serving_id": "serving"}),
    _plain(Erasure, {"id": "erasure"}),
    _plain(Denial, {"erasure_id": "erasure"}),
    _plain(SourceRow, {"id": "source"}),
    Part(_table(FileRow), _of_sources, {"id": "file", "source_id": "source"}),
    _plain(Renamed, {"id": "renamed"}),
    Part(
        DOCUMENTS,
        _of_collection(DOCUMENTS),
        {"key": "document", "collection_id": "collection", "file_id": "file"},
        _WIDE,
    ),
    Part(
        CHUNKS,
        _of_generations(CHUNKS),
        {"key": "chunk", "generation_id": "generation", "document_key": "document"},
    ),
    Part(_table(Removal), _of_generations(_table(Removal)), {"key": "chunk", "generation_id": "generation"}),
    Part(CODE_TABLES[""], _of_chunks(CODE_TABLES[""]), {"key": "chunk"}),
    *(Part(table, _of_chunks(table), {"key": "chunk"}, _WIDE) for role, table in CODE_TABLES.items() if role),
)
"""Every table but that of collections itself, of counters and those left out, in an order in which rows may
be written.
"""

LEFT_OUT = ("load", "load_shard", "load_piece")
"""A copy has what bulk loads have stored, and not their plans: these are of files of this machine."""

_COUNTED = ("document", "chunk", "generation", "serving")  # kinds of which `counter` has the last number
_GIVEN = ("promotion", "source", "file", "renamed", "erasure")  # those of which the database gives them


@dataclass(frozen=True)
class Numbers:
    """By how much each kind of number is larger in the copy: 0 where nothing stands in the way."""

    distance: Mapping[str, int] = field(default_factory=dict)

    def of(self, kind: str) -> int:
        return self.distance.get(kind, 0)


@dataclass(frozen=True)
class Transferred:
    """What was written: rows by table, and their numbers."""

    collection_id: int
    rows: Mapping[str, int]
    numbers: Numbers


def count_rows(connection: Connection, collection_id: int) -> dict[str, int]:
    """Rows of a collection, by table."""
    generations = _generations(connection, collection_id)
    counted = {}
    for part in PARTS:
        rows = part.select(collection_id, generations).order_by(None).subquery()
        counted[part.table.name] = connection.scalar(select(func.count()).select_from(rows)) or 0
    return counted


def reserve_numbers(source: Connection, collection_id: int, target: Connection) -> Numbers:
    """Takes the numbers that the collection of `source` needs in `target`, so that nobody else gets them.
    They are taken when the transaction of `target` ends, also if nothing is copied in the end.
    """
    distance = {}
    for kind in _COUNTED:
        needed = _last_number(source, kind)
        # Whoever takes a number waits from here to the end of the transaction.
        target.execute(update(Counter).where(Counter.kind == kind).values(last=Counter.last))
        distance[kind] = there = _last_number(target, kind)
        known = update(Counter).where(Counter.kind == kind).values(last=there + needed)
        if not target.execute(known).rowcount:
            target.execute(insert(Counter).values(kind=kind, last=there + needed))
    for part in PARTS:
        if (kind := part.table.name) in _GIVEN:
            needed = source.scalar(select(func.max(part.table.c.id))) or 0
            distance[kind] = dialect_of(target).reserve_numbers(target, part.table, needed)
    return Numbers(distance)


def _last_number(connection: Connection, kind: str) -> int:
    """The last number of a kind that was given, or that a row has."""
    counted = connection.scalar(select(Counter.last).where(Counter.kind == kind)) or 0
    table = Base.metadata.tables[kind]
    key = next(iter(table.primary_key.columns))
    return max(counted, connection.scalar(select(func.max(key))) or 0)


def copy_rows(
    source: Connection,
    name: str,
    target: Connection,
    numbers: Numbers,
    *,
    new_name: str | None = None,
    new_uuid: str | None = None,
    progress: TransferProgress | None = None,
) -> Transferred:
    """Writes collection `name` of one catalog into another, reads it there, and compares it with what was
    read, all in the transactions of the two connections. `numbers` were reserved for it.

    Raises:
        UnknownCollection: there is none.
        StorageError: what is there afterwards is not what was read.
    """
    row = source.execute(select(_table(CollectionRow)).where(CollectionRow.name == name)).mappings().first()
    if row is None:
        raise UnknownCollection(f"no collection {name!r} there")
    values = {**row, "name": new_name or name, "uuid": new_uuid or row["uuid"]}
    del values["id"]
    for pointer in ("live_serving", "trial_serving"):
        values[pointer] = _moved(values[pointer], numbers.of("serving"))
    target.execute(insert(_table(CollectionRow)).values(values))
    copied = target.execute(select(CollectionRow.id).where(CollectionRow.name == values["name"])).scalar_one()
    numbers = Numbers({**numbers.distance, "collection": copied - row["id"]})
    counted = _copy_parts(source, row["id"], target, copied, numbers, progress)
    return Transferred(copied, counted, numbers)


def _copy_parts(
    source: Connection,
    from_id: int,
    target: Connection,
    to_id: int,
    numbers: Numbers,
    progress: TransferProgress | None,
) -> dict[str, int]:
    generations = _generations(source, from_id)
    moved = [id_ + numbers.of("generation") for id_ in generations]
    total = sum(count_rows(source, from_id).values()) if progress else 0
    counted: dict[str, int] = {}
    for part in PARTS:
        read, written = _Digest(part), _Digest(part)
        for batch in _batches(source, part, from_id, generations):
            read.add(batch)
            _insert(target, part, _move(part, batch, numbers, 1))
            if progress:
                progress(sum(counted.values()) + read.rows, total)
        for batch in _batches(target, part, to_id, moved):
            written.add(_move(part, batch, numbers, -1))
        if read != written:
            raise StorageError(
                f"{read.rows} rows of {part.table.name} were read and {written.rows} are there, or they"
                " differ: nothing was copied. Check the disk, and `stlib verify` the original"
            )
        counted[part.table.name] = read.rows
    return counted


def _generations(connection: Connection, collection_id: int) -> list[int]:
    mine = select(Generation.id).where(Generation.collection_id == collection_id)
    return list(connection.scalars(mine.order_by(Generation.id)))


def _batches(
    connection: Connection, part: Part, collection_id: int, generations: Sequence[int]
) -> Iterator[list[tuple[Any, ...]]]:
    statement = part.select(collection_id, generations)
    rows = iter(connection.execute(statement, execution_options={"yield_per": part.batch}))
    while batch := list(islice(rows, part.batch)):
        yield [(*row,) for row in batch]


def _move(part: Part, rows: list[tuple[Any, ...]], numbers: Numbers, direction: int) -> list[tuple[Any, ...]]:
    """The rows with other numbers."""
    distance = {
        place: direction * numbers.of(part.numbers[column])
        for place, column in enumerate(part.columns)
        if column in part.numbers and numbers.of(part.numbers[column])
    }
    if not distance:
        return rows
    moved = []
    for row in rows:
        values = list(row)
        for place, by in distance.items():
            values[place] = _moved(values[place], by)
        moved.append(tuple(values))
    return moved


def _moved(number: int | None, by: int) -> int | None:
    return None if number is None else number + by


def _insert(target: Connection, part: Part, rows: list[tuple[Any, ...]]) -> None:
    if any(isinstance(column.type, (StoredJson, JSON)) for column in part.table.columns):
        named: Iterable[dict[str, Any]] = (dict(zip(part.columns, row, strict=True)) for row in rows)
        target.execute(insert(part.table), list(named))
    else:
        dialect_of(target).insert_rows(target, part.table, part.columns, rows)


class _Digest:
    """How many rows there were, and a hash of all their values in order."""

    def __init__(self, part: Part) -> None:
        self.rows = 0
        self._hash = hashlib.blake2b(digest_size=32)
        self._json = [
            place for place, column in enumerate(part.table.columns) if isinstance(column.type, StoredJson)
        ]

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        self.rows += len(rows)
        if self._json:  # databases may keep an object's members in another order
            rows = [
                tuple(
                    json.dumps(value, sort_keys=True) if place in self._json else value
                    for place, value in enumerate(row)
                )
                for row in rows
            ]
        for values in zip(*rows, strict=True):
            self._hash.update(_bytes_of(values))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Digest)
            and self.rows == other.rows
            and self._hash.digest() == other._hash.digest()
        )

    __hash__ = None  # type: ignore[assignment]


def _bytes_of(values: Sequence[Any]) -> bytes:
    """The values of a column; other values have other bytes."""
    lengths = repr([len(value) if isinstance(value, (str, bytes)) else value for value in values]).encode()
    texts = "".join(value for value in values if isinstance(value, str))
    return (
        lengths
        + texts.encode("utf-8", "surrogatepass")
        + b"".join(value for value in values if isinstance(value, bytes))
    )
