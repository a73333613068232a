"""Rows with ids of their own in several files: `id` 1 of `customers.csv` is not `id` 1 of `orders.csv`.

The file that is read first has the short ids; a row of another one is called by its file too,
`orders.csv#1`, for as long as both files are there. A document that no file gave is replaced, and so is one
whose file is gone: its rows were moved.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from indexing.catalog.log import Known, known_documents
from indexing.catalog.sources import paths_of_files
from indexing.documents import Document
from indexing.documents.walk import real_name

__all__ = ["file_prefix", "keep_files_apart"]


def file_prefix(name: str) -> str:
    """What stands before the id of a row if another file has the same; `name` is the path below the root."""
    return f"{name}#"


def keep_files_apart(
    connection: Connection, collection_id: int, documents: Sequence[Document]
) -> tuple[dict[int, str], dict[str, Known], set[str]]:
    """The ids of those documents of a batch that have one of their own and came from a file, by their place;
    the rows that there are of the ids that were looked up; and these.
    """
    own = {i: d for i, d in enumerate(documents) if d.file_id is not None and not d.origin}
    if not own:
        return {}, {}, set()
    names = paths_of_files(connection, {d.file_id for d in own.values() if d.file_id is not None})
    longer = {i: file_prefix(names[d.file_id or 0][1]) + d.id for i, d in own.items()}
    asked = {d.id for d in own.values()} | set(longer.values())
    rows = known_documents(connection, collection_id, asked)
    others = _there(connection, (row.file_id for row in rows.values() if not row.deleted))
    chosen: dict[int, str] = {}
    owner: dict[str, int | None] = {}  # of ids that this batch gives
    for i, document in own.items():
        mine, short = rows.get(longer[i]), rows.get(document.id)
        path = "/".join(names[document.file_id or 0])
        taken = short is not None and not short.deleted and others.get(short.file_id or 0, path) != path
        known_by_file = mine is not None and not mine.deleted and mine.file_id == document.file_id
        now = owner.get(document.id, document.file_id) != document.file_id
        chosen[i] = longer[i] if known_by_file or taken or now else document.id
        owner.setdefault(chosen[i], document.file_id)
    return chosen, rows, asked


def _there(connection: Connection, file_ids: Iterable[int | None]) -> Mapping[int, str]:
    """The paths of those files that are still there."""
    paths = paths_of_files(connection, {id_ for id_ in file_ids if id_ is not None})
    joined = {id_: "/".join(parts) for id_, parts in paths.items()}
    return {id_: path for id_, path in joined.items() if os.path.lexists(real_name(path))}
