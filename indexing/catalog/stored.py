"""Documents as they are stored: by id, by filter, one after the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, func, select

from indexing.catalog.log import slices
from indexing.catalog.schema import DocumentRow
from indexing.errors import StorageError

__all__ = [
    "Passage",
    "StoredDocument",
    "count_matching",
    "documents_by_id",
    "documents_from",
    "ids_matching",
]


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
    connection: Connection,
    collection_id: int,
    after: str | None,
    limit: int,
    condition: ColumnElement[bool] | None = None,
) -> list[StoredDocument]:
    """Up to `limit` documents whose id comes after `after`, in the order of ids (by their code points)."""
    statement = _live(collection_id).order_by(DocumentRow.id).limit(limit)
    if after is not None:
        statement = statement.where(DocumentRow.id > after)
    if condition is not None:
        statement = statement.where(condition)
    return [_document(row) for row in connection.execute(statement)]


def ids_matching(connection: Connection, collection_id: int, condition: ColumnElement[bool]) -> Iterator[str]:
    statement = select(DocumentRow.id).where(
        DocumentRow.collection_id == collection_id, ~DocumentRow.deleted, condition
    )
    yield from connection.scalars(statement)


def count_matching(connection: Connection, collection_id: int, condition: ColumnElement[bool]) -> int:
    statement = (
        select(func.count())
        .select_from(DocumentRow)
        .where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted, condition)
    )
    return connection.scalar(statement) or 0


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
