"""Documents as they are stored: by id, by filter, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, func, literal, select

from indexing.catalog.bulk import stream_rows
from indexing.catalog.log import slices
from indexing.catalog.schema import DocumentRow
from indexing.errors import StorageError

__all__ = [
    "Passage",
    "Selection",
    "StoredDocument",
    "count_matching",
    "documents_by_id",
    "documents_from",
    "ids_matching",
    "read_metadata",
]

_READ_ROWS = 2_000


@dataclass(frozen=True, eq=False)
class Passage:
    """The characters `start` to `end` of a text, and their vector float32 [d], as its stored code tells."""

    start: int
    end: int
    vector: np.ndarray


@dataclass(frozen=True)
class StoredDocument:
    """A document that the collection holds. `seq` is the number of its last change; `passages` are None
    where nobody asked for them.
    """

    id: str
    title: str
    text: str
    metadata: dict[str, Any]
    seq: int
    key: int
    passages: tuple[Passage, ...] | None = None

    def to_dict(self) -> dict[str, Any]:
        """What `add` takes."""
        given = {"id": self.id, "title": self.title, "text": self.text, "metadata": self.metadata}
        return {name: value for name, value in given.items() if value or name in ("id", "text")}


@dataclass(frozen=True)
class Selection:
    """Which documents are meant: those that fulfil a condition in SQL, or whose stored metadata a function
    accepts; all without either.
    """

    condition: ColumnElement[bool] | None = None
    accepts: Callable[[str], bool] | None = None


def documents_by_id(
    connection: Connection, collection_id: int, ids: Iterable[str]
) -> dict[str, StoredDocument]:
    """Those of `ids` that exist."""
    found: dict[str, StoredDocument] = {}
    for part in slices(ids):
        rows = connection.execute(_live(collection_id).where(DocumentRow.id.in_(part)))
        found.update((row.id, _document(row)) for row in rows)
    return found


def documents_from(
    connection: Connection, collection_id: int, after: str | None, limit: int, wanted: Selection
) -> list[StoredDocument]:
    """Up to `limit` documents whose id comes after `after`, in the order of ids (by their code points)."""
    if wanted.accepts is None:
        return [_document(row) for row in _rows_from(connection, collection_id, after, limit, wanted)]
    found: list[StoredDocument] = []
    while rows := _rows_from(connection, collection_id, after, max(limit, _READ_ROWS), wanted):
        found += [_document(row) for row in rows if wanted.accepts(row[3])]
        if len(found) >= limit:
            break
        after = rows[-1].id
    return found[:limit]


def _rows_from(
    connection: Connection, collection_id: int, after: str | None, limit: int, wanted: Selection
) -> Sequence[Any]:
    statement = _live(collection_id).order_by(DocumentRow.id).limit(limit)
    if after is not None:
        statement = statement.where(DocumentRow.id > after)
    if wanted.condition is not None:
        statement = statement.where(wanted.condition)
    return connection.execute(statement).all()


def ids_matching(connection: Connection, collection_id: int, wanted: Selection) -> Iterator[str]:
    """The ids of live documents that are meant."""
    for id_, metadata in _matching(connection, collection_id, wanted):
        if wanted.accepts is None or wanted.accepts(metadata):
            yield id_


def count_matching(connection: Connection, collection_id: int, wanted: Selection) -> int:
    """How many live documents are meant."""
    if wanted.accepts is not None:
        return sum(1 for _ in ids_matching(connection, collection_id, wanted))
    statement = select(func.count()).select_from(DocumentRow).where(*_are_meant(collection_id, wanted))
    return connection.scalar(statement) or 0


def _matching(connection: Connection, collection_id: int, wanted: Selection) -> Iterator[tuple[str, str]]:
    metadata = literal("") if wanted.accepts is None else DocumentRow.meta
    statement = select(DocumentRow.id, metadata).where(*_are_meant(collection_id, wanted))
    for row in stream_rows(connection, statement, _READ_ROWS):
        yield row[0], row[1]


def _are_meant(collection_id: int, wanted: Selection) -> list[ColumnElement[bool]]:
    meant = [DocumentRow.collection_id == collection_id, ~DocumentRow.deleted]
    return meant if wanted.condition is None else [*meant, wanted.condition]


def _live(collection_id: int) -> Any:
    names = ("id", "title", "text", "meta", "seq", "key")
    return select(*(getattr(DocumentRow, name) for name in names)).where(
        DocumentRow.collection_id == collection_id, ~DocumentRow.deleted
    )


def _document(row: Any) -> StoredDocument:
    return StoredDocument(row.id, row.title, row.text, read_metadata(row[3]), row.seq, row.key)


def read_metadata(text: str) -> dict[str, Any]:
    """Stored metadata.

    Raises:
        StorageError: it is no JSON object any more, so the catalog was altered.
    """
    try:
        metadata = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise StorageError(
            f"the catalog is damaged: the metadata of a document is no JSON ({error}); `stlib verify` names"
            " it"
        ) from error
    if not isinstance(metadata, dict):
        raise StorageError(
            f"the catalog is damaged: the metadata of a document is a {type(metadata).__name__};"
            " `stlib verify` names it"
        )
    return metadata
