"""Which id a document has that was read from a file: its path below the root that was given.

Two roots may hold files of the same relative path. They are two documents, in one run or in two, so the later
one's id gets the names of the folders above it until it is nobody else's: `guide.md`, `docs/guide.md`,
`alice/docs/guide.md`, at last the whole path. What decides is the file that a document came from (its
`origin`, kept in the catalog):

* a document that came from this very file keeps its id, however the path was spelt this time;
* an id whose file is gone is taken over: the folder was moved. So is one without a file, which a caller gave;
* an id whose file is still there, and is another one, is taken. So is one of a file at an address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection

from indexing.catalog.log import Known, ids_of_origins, known_documents
from indexing.documents import Document
from indexing.documents.walk import real_name
from indexing.writing.own_ids import keep_files_apart

__all__ = ["Resolved", "file_of_origin", "longer_ids", "resolve_ids"]


_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass
class Resolved:
    """`ids` of a batch, in its order; `renamed` are those of them that are new and longer than the path,
    `moved` those taken over from a file that is gone. `known` are the rows that there are of `looked_up` ids.
    """

    ids: list[str]
    renamed: list[str] = field(default_factory=list)
    moved: set[str] = field(default_factory=set)
    looked_up: set[str] = field(default_factory=set)
    known: dict[str, Known] = field(default_factory=dict)


def resolve_ids(connection: Connection, collection_id: int, documents: Sequence[Document]) -> Resolved:
    """The ids of a batch of documents. Those that no file gave keep theirs: it is the caller's."""
    own = ids_of_origins(connection, collection_id, [d.origin for d in documents if d.origin])
    resolved = Resolved([own.get(document.origin, document.id) for document in documents])
    chosen, known, asked = keep_files_apart(connection, collection_id, documents)
    resolved.known.update(known)
    resolved.looked_up |= asked
    for i, id_ in chosen.items():
        resolved.ids[i] = id_
        if id_ != documents[i].id and (id_ not in known or known[id_].deleted):
            resolved.renamed.append(id_)
    names = {i: longer_ids(d) for i, d in enumerate(documents) if d.origin and d.origin not in own}
    taken_now: set[str] = set()  # by documents of this batch, which are not in the catalog yet
    while names:
        wanted = {i: next(longer) for i, longer in names.items()}
        rows = known_documents(connection, collection_id, wanted.values())
        resolved.looked_up.update(wanted.values())
        resolved.known.update(rows)
        for i, id_ in wanted.items():
            row = rows.get(id_)
            before = row.origin if row is not None else None
            left = "gone" if before is None else _what_became_of(before, documents[i].origin)
            if id_ in taken_now or left == "there":
                continue
            del names[i]
            taken_now.add(id_)
            resolved.ids[i] = id_
            if before is not None and left == "gone":
                resolved.moved.add(id_)
            elif id_ != documents[i].id and (row is None or row.deleted):
                resolved.renamed.append(id_)
    return resolved


def longer_ids(document: Document) -> Iterator[str]:
    """The document's own id, then longer and longer ones; the last is its whole path, and nobody else's."""
    yield document.id
    folders = document.origin[: -len(document.id) - 1].split("/")
    for count in range(1, len(folders) + 1):
        yield "/".join([*folders[-count:], document.id])


def _what_became_of(before: str, now: str) -> Literal["gone", "same", "there"]:
    """Of the file `before`: it is no more, it is `now` by another path, or it is there beside `now`.

    One at an address, which cannot be looked at from here, is there.
    """
    if _ADDRESS.match(before):
        return "there"
    try:
        if Path(file_of_origin(before)).samefile(file_of_origin(now)):
            return "same"
    except (FileNotFoundError, NotADirectoryError):
        return "gone"
    except OSError:
        return "there"
    return "there"


def file_of_origin(origin: str) -> str:
    """The file of an origin, which for a part of it goes on after a mark: `/data/a.csv#12`."""
    ends = [len(origin), *(found.start() for found in reversed(list(re.finditer("#", origin))))]
    paths = (real_name(origin[:end]) for end in ends)
    return next((path for path in paths if os.path.lexists(path)), origin)
