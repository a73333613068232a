"""Looking documents up without a question: by id, by filter, all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.reads import chunks_of_documents
from indexing.catalog.stored import (
    Passage,
    StoredDocument,
    count_matching,
    documents_by_id,
    documents_from,
    ids_matching,
)
from indexing.counting import count_documents
from indexing.documents.model import check_ids, storable_text
from indexing.errors import BadInput, LockedError, StorageError
from indexing.quantization import Codec
from indexing.search.filter_lookup import selection_of
from indexing.search.filter_spelling import Given, filter_text
from indexing.search.filter_tree import Node
from indexing.search.filters import parse_filter
from indexing.session import Live, Session
from indexing.views.manager import Views

__all__ = ["count_found", "find_documents", "iterate_documents", "matching_ids"]


def find_documents(
    session: Session, ids: Iterable[str], *, passages: bool = False
) -> dict[str, StoredDocument]:
    """Those of `ids` that exist, with their passages where these are wanted.

    Raises:
        BadInput: an id that is no string.
    """
    wanted = check_ids(ids)
    with session.looking() as (connection, state):
        found = documents_by_id(connection, state.id, wanted)
        if not passages:
            return found
        live = session.live_in(connection, state)
        shown = _with_passages(session.name, connection, live, live.generation.id, list(found.values()))
        return {document.id: document for document in shown}


def iterate_documents(
    session: Session,
    filter: Given | None,
    batch: int,
    *,
    after: str | None = None,
    passages: bool = False,
) -> Iterator[StoredDocument]:
    """Documents in the order of ids, those behind `after`, `batch` per transaction, with their passages where
    these are wanted.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise BadInput(f"batch = {batch!r}: give a whole number of documents, 1 or more")
    node = _node(filter)
    if after is not None and not isinstance(after, str):
        raise BadInput(f"after = {after!r}: give the id of a document, behind which they begin")
    after = None if after is None else storable_text(after)
    return _pages(session, node, batch, after, session.live().generation.id if passages else None)


def _pages(
    session: Session,
    node: Node | None,
    batch: int,
    after: str | None,
    generation_id: int | None,
) -> Iterator[StoredDocument]:
    while True:
        with session.looking() as (connection, state):
            documents = documents_from(connection, state.id, after, batch, selection_of(connection, node))
            if generation_id is not None:
                live = session.live_in(connection, state)
                documents = _with_passages(session.name, connection, live, generation_id, documents)
        yield from documents
        if len(documents) < batch:
            return
        after = documents[-1].id


def _with_passages(
    name: str, connection: Connection, live: Live, generation_id: int, documents: list[StoredDocument]
) -> list[StoredDocument]:
    if live.generation.id != generation_id:  # vectors of two models must not stand side by side
        raise LockedError(f"collection {name!r} was reindexed while its vectors were read: run it again")
    if live.codec is None:
        return [replace(document, passages=()) for document in documents]
    stored = chunks_of_documents(connection, generation_id, [document.key for document in documents])
    return [
        replace(document, passages=_passages(document.id, live.codec, stored.get(document.key, [])))
        for document in documents
    ]


def _passages(id_: str, codec: Codec, rows: list[tuple[int, int, bytes]]) -> tuple[Passage, ...]:
    if any(len(code) != codec.code_bytes for *_, code in rows):
        raise StorageError(f"a code of document {id_!r} is damaged in the catalog: run `stlib verify`")
    codes = np.frombuffer(b"".join(code for *_, code in rows), codec.dtype).reshape(-1, codec.dimension)
    vectors = codec.decode(codes)
    return tuple(Passage(start, end, vector) for (start, end, _), vector in zip(rows, vectors, strict=True))


def matching_ids(session: Session, filter: Given | None) -> list[str]:
    """The ids of all documents that match `filter`, as they are now.

    Raises:
        BadInput: an empty filter, which would match everything.
    """
    node = _node(filter)
    if node is None:
        raise BadInput("the filter is empty, which would match every document: drop() deletes them all")
    with session.looking() as (connection, state):
        return list(ids_matching(connection, state.id, selection_of(connection, node)))


def count_found(session: Session, views: Views, filter: Given | None) -> int:
    """How many documents match `filter`; all of them without one."""
    node = _node(filter)
    with session.looking() as (connection, state):
        if node is None:
            return count_documents(connection, session, views)
        return count_matching(connection, state.id, selection_of(connection, node))


def _node(filter: Given | None) -> Node | None:
    return None if filter is None else parse_filter(filter_text(filter))
