"""Looking documents up without a question: by id, by filter, all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import ColumnElement

from indexing.catalog.reads import count_documents
from indexing.catalog.stored import (
    StoredDocument,
    count_matching,
    documents_by_id,
    documents_from,
    ids_matching,
)
from indexing.documents.model import storable_text
from indexing.errors import BadInput
from indexing.search.filter_sql import condition
from indexing.search.filters import parse_filter
from indexing.session import Session

__all__ = ["count_found", "find_documents", "iterate_documents", "matching_ids"]


def find_documents(session: Session, ids: Iterable[str]) -> dict[str, StoredDocument]:
    """Those of `ids` that exist."""
    with session.looking() as (connection, state):
        return documents_by_id(connection, state.id, [id_ for id_ in ids if storable_text(id_) == id_])


def iterate_documents(session: Session, filter: str | None, batch: int) -> Iterator[StoredDocument]:
    """Documents in the order of ids, `batch` per transaction."""
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise BadInput(f"batch = {batch!r}: give a whole number of documents, 1 or more")
    wanted = _condition(filter)
    return _pages(session, wanted, batch)


def _pages(session: Session, wanted: ColumnElement[bool] | None, batch: int) -> Iterator[StoredDocument]:
    after: str | None = None
    while True:
        with session.looking() as (connection, state):
            documents = documents_from(connection, state.id, after, batch, wanted)
        yield from documents
        if len(documents) < batch:
            return
        after = documents[-1].id


def matching_ids(session: Session, filter: str | None) -> list[str]:
    """The ids of all documents that match `filter`, as they are now.

    Raises:
        BadInput: an empty filter, which would match everything.
    """
    wanted = _condition(filter)
    if wanted is None:
        raise BadInput("the filter is empty, which would match every document: drop() deletes them all")
    with session.looking() as (connection, state):
        return list(ids_matching(connection, state.id, wanted))


def count_found(session: Session, filter: str | None) -> int:
    """How many documents match `filter`; all of them without one."""
    wanted = _condition(filter)
    with session.looking() as (connection, state):
        if wanted is None:
            return count_documents(connection, state.id)
        return count_matching(connection, state.id, wanted)


def _condition(filter: str | None) -> ColumnElement[bool] | None:
    node = parse_filter(filter) if filter else None
    return None if node is None else condition(node)
