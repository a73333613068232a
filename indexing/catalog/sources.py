"""Sources and their files, as the catalog has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from indexing.catalog.bulk import stream_rows
from indexing.catalog.collections import drop_loads, now
from indexing.catalog.log import slices
from indexing.catalog.schema import DOCUMENTS, DocumentRow, FileRow, SourceRow

__all__ = [
    "FileInfo",
    "FileState",
    "SourceInfo",
    "add_files",
    "adopt_documents",
    "count_documents",
    "documents_in",
    "drop_files",
    "drop_source",
    "file_of_document",
    "files_of",
    "keep_source",
    "note_synced",
    "origins_below",
    "paths_of_files",
    "record_files",
    "set_stale",
    "sources_of",
    "texts_in",
]


@dataclass(frozen=True)
class SourceInfo:
    """A row of `source`, see `SourceRow`."""

    id: int
    root: str
    kind: str
    options: dict[str, Any]
    synced_at: str | None


@dataclass(frozen=True)
class FileState:
    """A file as it was when its reading began; see `FileRow`."""

    size: int
    modified: int
    changed: int
    inode: int
    digest: bytes = b""
    read_at: int = 0
    reader: str = ""
    problem: str | None = None
    stale: int = 0


@dataclass(frozen=True)
class FileInfo:
    id: int
    name: str
    state: FileState


def sources_of(connection: Connection, collection_id: int) -> list[SourceInfo]:
    """In the order in which they were added."""
    columns = [getattr(SourceRow, name) for name in SourceInfo.__dataclass_fields__]
    rows = connection.execute(
        select(*columns).where(SourceRow.collection_id == collection_id).order_by(SourceRow.id)
    )
    return [SourceInfo(*row) for row in rows]


def keep_source(
    connection: Connection, collection_id: int, root: str, kind: str, options: Mapping[str, Any]
) -> tuple[int, bool]:
    """The id of this source, with `options` from now on, and whether it is new."""
    same = (SourceRow.collection_id == collection_id, SourceRow.root == root, SourceRow.kind == kind)
    found = connection.scalar(select(SourceRow.id).where(*same))
    if found is not None:
        connection.execute(update(SourceRow).where(SourceRow.id == found).values(options=dict(options)))
        return found, False
    row = {
        "collection_id": collection_id,
        "root": root,
        "kind": kind,
        "options": dict(options),
        "created_at": now(),
    }
    connection.execute(insert(SourceRow), row)
    return connection.execute(select(SourceRow.id).where(*same)).scalar_one(), True


def note_synced(connection: Connection, source_ids: Sequence[int]) -> None:
    for part in slices(source_ids):
        connection.execute(update(SourceRow).where(SourceRow.id.in_(part)).values(synced_at=now()))


def drop_source(connection: Connection, source_id: int) -> None:
    """Forgets a source and its files; what was read from it stays, and is of another source where its file
    lies in that too. Plans of bulk loads, which may name these files, are made anew.
    """
    _pass_on_documents(connection, source_id)
    mine = connection.scalar(select(SourceRow.collection_id).where(SourceRow.id == source_id))
    drop_loads(connection, mine or 0)
    files = select(FileRow.id).where(FileRow.source_id == source_id)
    connection.execute(update(DocumentRow).where(DocumentRow.file_id.in_(files)).values(file_id=None))
    connection.execute(delete(FileRow).where(FileRow.source_id == source_id))
    connection.execute(delete(SourceRow).where(SourceRow.id == source_id))


def _pass_on_documents(connection: Connection, source_id: int) -> None:
    collection_id = connection.scalar(select(SourceRow.collection_id).where(SourceRow.id == source_id))
    roots = {source.id: source.root for source in sources_of(connection, collection_id or 0)}
    paths = {f"{roots[source_id]}/{name}": row.id for name, row in files_of(connection, source_id).items()}
    table = DOCUMENTS
    statement = update(table).where(table.c.file_id == bindparam("the_file"))
    for other, root in roots.items():
        if other == source_id or not (_below(root, roots[source_id]) or _below(roots[source_id], root)):
            continue
        files = {f"{root}/{name}": row.id for name, row in files_of(connection, other).items()}
        rows = [{"the_file": paths[path], "other": files[path]} for path in paths.keys() & files.keys()]
        if rows:
            connection.execute(statement.values(file_id=bindparam("other")), rows)


def _below(root: str, above: str) -> bool:
    return f"{root}/".startswith(f"{above}/")


def files_of(connection: Connection, source_id: int) -> dict[str, FileInfo]:
    """name → what is known of each file of a source."""
    columns = [getattr(FileRow, name) for name in ("id", "name", *FileState.__dataclass_fields__)]
    rows = connection.execute(select(*columns).where(FileRow.source_id == source_id))
    return {row[1]: FileInfo(row[0], row[1], FileState(*row[2:])) for row in rows}


def add_files(connection: Connection, source_id: int, states: Mapping[str, FileState]) -> dict[str, int]:
    """New rows, by name; returns their ids."""
    rows = [{"source_id": source_id, "name": name, **vars(state)} for name, state in states.items()]
    if rows:
        connection.execute(insert(FileRow), rows)
    found: dict[str, int] = {}
    for part in slices(states):
        statement = select(FileRow.name, FileRow.id).where(
            FileRow.source_id == source_id, FileRow.name.in_(part)
        )
        found.update((row[0], row[1]) for row in connection.execute(statement))
    return found


def record_files(connection: Connection, states: Mapping[int, tuple[str, FileState]]) -> None:
    """Name and state of files that there are rows of, by id."""
    if not states:
        return
    names = ("name", *FileState.__dataclass_fields__)
    rows = [
        {"the_id": id_, "new_name": name, **{f"new_{field}": value for field, value in vars(state).items()}}
        for id_, (name, state) in states.items()
    ]
    statement = update(FileRow.__table__).where(FileRow.__table__.c.id == bindparam("the_id"))  # type: ignore[arg-type]
    connection.execute(statement.values({name: bindparam(f"new_{name}") for name in names}), rows)


def drop_files(connection: Connection, file_ids: Iterable[int]) -> None:
    for part in slices(file_ids):
        connection.execute(delete(FileRow).where(FileRow.id.in_(part)))


def set_stale(connection: Connection, file_ids: Iterable[int]) -> None:
    """Nothing stale is left of these files."""
    for part in slices(file_ids):
        connection.execute(update(FileRow).where(FileRow.id.in_(part)).values(stale=0))


def documents_in(connection: Connection, file_ids: Iterable[int]) -> dict[int, list[int]]:
    """file id → keys of the documents that came from it."""
    found: dict[int, list[int]] = {}
    for part in slices(file_ids):
        statement = select(DocumentRow.file_id, DocumentRow.key).where(
            DocumentRow.file_id.in_(part), ~DocumentRow.deleted
        )
        for file_id, key in connection.execute(statement):
            found.setdefault(int(file_id or 0), []).append(key)
    return found


def texts_in(connection: Connection, file_id: int) -> Iterator[tuple[int, str, str, str, str]]:
    """(key, id, origin or "", title, text) of the documents that came from a file, in order of their keys."""
    columns = (DocumentRow.key, DocumentRow.id, DocumentRow.origin, DocumentRow.title, DocumentRow.text)
    statement = select(*columns).where(DocumentRow.file_id == file_id, ~DocumentRow.deleted)
    for row in stream_rows(connection, statement.order_by(DocumentRow.key), 64):
        yield row[0], row[1], row[2] or "", row[3], row[4]


def count_documents(connection: Connection, source_id: int) -> int:
    """How many documents a source has."""
    files = select(FileRow.id).where(FileRow.source_id == source_id)
    statement = select(func.count()).where(DocumentRow.file_id.in_(files), ~DocumentRow.deleted)
    return connection.scalar(statement) or 0


def file_of_document(connection: Connection, collection_id: int, id_: str) -> tuple[SourceInfo, str] | None:
    """The source of a document, and the name of its file below the root."""
    columns = [getattr(SourceRow, name) for name in SourceInfo.__dataclass_fields__]
    row = connection.execute(
        select(*columns, FileRow.name)
        .join(FileRow, FileRow.source_id == SourceRow.id)
        .join(DocumentRow, DocumentRow.file_id == FileRow.id)
        .where(DocumentRow.collection_id == collection_id, DocumentRow.id == id_)
    ).first()
    return None if row is None else (SourceInfo(*row[:-1]), row[-1])


def paths_of_files(connection: Connection, file_ids: Iterable[int]) -> dict[int, tuple[str, str]]:
    """file id → (root of its source, its name below that)."""
    found: dict[int, tuple[str, str]] = {}
    for part in slices(file_ids):
        statement = (
            select(FileRow.id, SourceRow.root, FileRow.name)
            .join(SourceRow, SourceRow.id == FileRow.source_id)
            .where(FileRow.id.in_(part))
        )
        found.update((row[0], (row[1], row[2])) for row in connection.execute(statement))
    return found


def adopt_documents(
    connection: Connection, collection_id: int, source_id: int, name_of: Mapping[str, str]
) -> None:
    """Gives documents that were read from files before these were of a source to files of it. `name_of` maps
    an origin to the name of its file.
    """
    files = add_files(connection, source_id, dict.fromkeys(name_of.values(), FileState(0, 0, 0, 0)))
    rows = [{"the_origin": origin, "the_file": files[name]} for origin, name in name_of.items()]
    if rows:
        table = DOCUMENTS
        statement = update(table).where(
            table.c.collection_id == collection_id, table.c.origin == bindparam("the_origin")
        )
        connection.execute(statement.values(file_id=bindparam("the_file")), rows)


def origins_below(connection: Connection, collection_id: int, root: str) -> list[str]:
    """Origins of documents below `root` that no file is known of."""
    statement = select(DocumentRow.origin).where(
        DocumentRow.collection_id == collection_id,
        DocumentRow.origin > f"{root}/",
        DocumentRow.origin < f"{root}0",  # what comes after "/"
        DocumentRow.file_id.is_(None),
    )
    return [str(origin) for origin in connection.scalars(statement)]
