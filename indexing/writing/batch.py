"""What becomes of a batch of documents, as plain functions: which ids they get, what is known of these, what
stays out, what changed, and the rows that are written. Who adds documents one batch after the other runs the
same ones as who brings in pieces of a bulk load.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.collections import CollectionState
from indexing.catalog.denials import find_denials
from indexing.catalog.generations import pass_on, set_followed
from indexing.catalog.hashing import hash_metadata, hash_text
from indexing.catalog.log import (
    DocumentChange,
    DocumentChunks,
    Known,
    Whereabouts,
    append_chunks,
    append_documents,
    known_documents,
)
from indexing.documents import Document
from indexing.documents.marks import marks_to_json
from indexing.embed import Embedded, Titled
from indexing.errors import BadInput
from indexing.session import Session
from indexing.writing.guard import Guard
from indexing.writing.identity import Resolved, resolve_ids
from indexing.writing.report import AddReport

__all__ = [
    "Batch",
    "Pending",
    "changes_of",
    "count_changes",
    "keep_out",
    "look_up",
    "metadata_json",
    "prepare",
    "titled",
    "whereabouts_of",
    "write_changes",
]


@dataclass(frozen=True)
class Pending:
    """A document on its way in. `id` is the one that it gets, `number` its place among all that came."""

    document: Document
    metadata: str
    id: str
    vector: np.ndarray | None = None
    number: int = 0

    @property
    def marks(self) -> str | None:
        marks = marks_to_json(self.document.marks)
        return json.dumps(marks, ensure_ascii=False, separators=(",", ":")) if marks else None

    @property
    def hash(self) -> bytes:
        return hash_text(self.id, self.document.title, self.document.text)

    @property
    def metadata_hash(self) -> bytes:
        return hash_metadata(self.id, self.metadata)


@dataclass
class Batch:
    """Documents by id, in the order in which they are written, and what the catalog has of them at one
    moment. `duplicates` counts those whose id came again in the batch: the last one is there.
    """

    pending: dict[str, Pending]
    known: Mapping[str, Known]
    resolved: Resolved
    guard: Guard
    duplicates: int = 0


def prepare(item: Document | Mapping[str, Any], vector: np.ndarray | None = None, number: int = 0) -> Pending:
    """A document that a caller or a reader gave. Raises `BadInput` with the reason if it cannot be used."""
    document = Document.from_any(item)
    return Pending(document, metadata_json(document.metadata), document.id, vector, number)


def metadata_json(metadata: Mapping[str, Any]) -> str:
    """Metadata as the catalog stores it: equal metadata gives equal text."""
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def look_up(connection: Connection, session: Session, received: Sequence[Pending]) -> Batch:
    """Gives documents their ids, and reads what there is of these."""
    resolved = resolve_ids(connection, session.id, [p.document for p in received])
    pending: dict[str, Pending] = {}
    duplicates = 0
    for one, id_ in zip(received, resolved.ids, strict=True):
        duplicates += pending.pop(id_, None) is not None
        # The last one wins, and takes its place in the order.
        pending[id_] = one if one.id == id_ else replace(one, id=id_)
    rest = [id_ for id_ in pending if id_ not in resolved.looked_up]
    known = {**resolved.known, **known_documents(connection, session.id, rest)}
    texts = {id_: one.document.text for id_, one in pending.items()}
    guard = Guard(session.name, find_denials(connection, session.id, texts))
    return Batch(pending, known, resolved, guard, duplicates)


def keep_out(batch: Batch, report: AddReport, on_error: str) -> BadInput | None:
    """Takes documents out of a batch that were erased before; with `on_error="raise"` also what comes after
    the first of them, and returns why.
    """
    refusal = _keep_out(batch, report, on_error)
    # Notes name what is stored.
    batch.resolved.renamed = [id_ for id_ in batch.resolved.renamed if id_ in batch.pending]
    return refusal


def _keep_out(batch: Batch, report: AddReport, on_error: str) -> BadInput | None:
    order = list(batch.pending)
    for at, id_ in enumerate(order):
        pending = batch.pending[id_]
        row = batch.known.get(id_)
        same_text = row is not None and not row.deleted and row.hash == pending.hash
        erasure = batch.guard.erasure_of(id_, pending.document.text, same_text=same_text)
        if erasure is None:
            continue
        if on_error == "raise":
            for rest in order[at:]:
                del batch.pending[rest]
            return BadInput(batch.guard.refusal(erasure))
        del batch.pending[id_]
        report.deny(pending.number, pending.document.file_id)
    return None


def changes_of(batch: Batch) -> dict[str, DocumentChange]:
    """What is to be written, by id; what the catalog has already is not among it."""
    changes = {id_: _change(pending, batch.known.get(id_)) for id_, pending in batch.pending.items()}
    return {id_: change for id_, change in changes.items() if change is not None}


def _change(pending: Pending, known: Known | None) -> DocumentChange | None:
    """What is to be written; None if the catalog has it already."""
    live = known is not None and not known.deleted
    text_changed = not live or known is None or known.hash != pending.hash or pending.vector is not None
    if not text_changed and known is not None and known.metadata_hash == pending.metadata_hash:
        return None
    document = pending.document
    return DocumentChange(
        pending.id,
        pending.hash,
        pending.metadata_hash,
        document.title,
        document.text,
        pending.metadata,
        document.origin or None,
        text_changed,
        document.file_id,
        pending.marks,
    )


def titled(pending: Sequence[Pending]) -> list[Titled]:
    """What is embedded of documents."""
    return [Titled(one.document.title, one.document.text) for one in pending]


def whereabouts_of(batch: Batch, changed: Mapping[str, DocumentChange]) -> dict[int, Whereabouts]:
    """By key, where documents lie now that are as they were, but for the place of their files: a folder was
    moved.
    """
    moved = {}
    for id_, pending in batch.pending.items():
        if id_ in changed:
            continue
        row = batch.known[id_]
        before = Whereabouts(row.origin, row.file_id, row.marks)
        if (now := _whereabouts(pending, before)) != before:
            moved[row.key] = now
    return moved


def _whereabouts(pending: Pending, before: Whereabouts) -> Whereabouts:
    """Where a document lies now; one that a caller gave, without a file, stays where it was."""
    document = pending.document
    if not document.origin and document.file_id is None:
        return before
    return Whereabouts(document.origin or None, document.file_id or before.file_id, pending.marks)


def write_changes(
    connection: Connection,
    session: Session,
    state: CollectionState,
    generation_id: int,
    changes: Sequence[DocumentChange],
    known: Mapping[str, Known],
    made: Embedded,
) -> None:
    """Writes documents, and their passages in the live generation. `state` is the collection's row in this
    transaction, `known` are rows that nobody changed since they were read, `made` is of those documents
    whose text changed, in their order.
    """
    changed = {change.id for change in changes}
    rows = {id_: row for id_, row in known.items() if id_ in changed}
    keys, last_seq = append_documents(connection, session.id, changes, rows)
    embedded = [key for key, change in zip(keys, changes, strict=True) if change.text_changed]
    chunks = [
        DocumentChunks(key, spans, codes, made.beside_of(at))
        for at, (key, spans, codes) in enumerate(zip(embedded, made.spans, made.codes, strict=True))
    ]
    append_chunks(connection, generation_id, chunks)
    set_followed(connection, generation_id, state.last_seq, last_seq, made.clipped)
    if not embedded:
        pass_on(connection, session.id, state.last_seq, last_seq)


def count_changes(report: AddReport, batch: Batch, changed: Mapping[str, DocumentChange]) -> None:
    """Counts what was written, and says what happened to ids."""
    known = batch.known
    updated = sum(id_ in known and not known[id_].deleted for id_ in changed)
    report.updated += updated
    report.added += len(changed) - updated
    resolved = batch.resolved
    for id_ in resolved.renamed:
        report.note(f"{id_} has the name of its folder or file before it: another file has the shorter id")
    moved = [batch.pending[id_] for id_ in changed if id_ in resolved.moved]
    for pending in moved:
        report.note(f"{pending.id} was replaced by {pending.document.origin}: its file was gone")
    report.renamed += len(resolved.renamed)
    report.moved += len(moved)
