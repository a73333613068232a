"""Bulk indexing: read ▸ hash ▸ skip the unchanged ▸ chunk ▸ embed ▸ quantise ▸ commit, one batch at a time.

Every batch is one transaction, so a run that is killed has lost nothing that it reported, and the next run
over the same documents finds them by their hash and does not embed them again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from indexing import faults
from indexing.catalog.database import reading, writing
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
    set_whereabouts,
)
from indexing.documents import Document, Skipped
from indexing.documents.marks import marks_to_json
from indexing.embed import Embedded, Titled
from indexing.errors import BadInput
from indexing.generations.makers import Maker
from indexing.session import Live, Session
from indexing.writing.guard import Guard
from indexing.writing.identity import Resolved, resolve_ids
from indexing.writing.report import AddReport, Progress
from indexing.writing.seen import SeenIds

__all__ = ["Committed", "Pipeline", "metadata_json"]

BATCH_DOCUMENTS = 1024  # one fsync per batch; more gains under 2 % and makes Ctrl-C lose more work
BATCH_CHARACTERS = 4_000_000  # a batch of long documents stays a few tens of MiB

MakerOf = Callable[[Live], Maker]
"""What turns texts into codes for the serving that is live now."""


@dataclass(frozen=True)
class _Pending:
    document: Document
    metadata: str
    id: str
    vector: np.ndarray | None = None
    number: int = 0  # its place among all that came

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


@dataclass(frozen=True)
class Committed:
    """Stands between documents: `then` is called when all before it are stored."""

    then: Callable[[], None]


class Pipeline:
    """Adds documents to a collection. The caller holds the `documents` lock."""

    def __init__(
        self,
        session: Session,
        maker_of: MakerOf,
        *,
        progress: Progress | None = None,
        after_batch: Callable[[AddReport], None] | None = None,
    ) -> None:
        self._session = session
        self._maker_of = maker_of
        self._progress = progress
        self._after_batch = after_batch
        self._seen = SeenIds()
        self._on_error = "raise"
        self._waiting: list[Committed] = []  # those whose documents are all in the batch that comes next
        self.report = AddReport()

    def run(
        self,
        documents: Iterable[Document | Skipped | Committed | Mapping[str, Any]],
        on_error: str = "raise",
        vectors: np.ndarray | None = None,
    ) -> AddReport:
        """Stores `documents`; with `on_error="skip"` one that cannot be used is reported instead of raised.
        `vectors` [n, d] are theirs, in their order, for a collection without a model.

        Raises:
            BadInput: a document cannot be used (those before it are stored).
        """
        started = time.perf_counter()
        self._on_error = on_error
        try:
            for batch in self._batches(documents, on_error, vectors):
                self._store(batch)
                self._call_back()
            self._call_back()
        finally:
            self.report.seconds += time.perf_counter() - started
        return self.report

    def _batches(
        self, documents: Iterable[Any], on_error: str, vectors: np.ndarray | None
    ) -> Iterator[list[_Pending]]:
        batch: list[_Pending] = []
        characters = 0
        failure: BadInput | None = None
        for number, item in enumerate(documents):
            if isinstance(item, Committed):
                self._waiting.append(item)
                if not batch and len(self._waiting) >= BATCH_DOCUMENTS:
                    self._call_back()
                continue
            self.report.received += 1
            if isinstance(item, Skipped):
                self.report.skip(item)
                continue
            try:
                pending = _prepare(item, _row(vectors, number), number)
            except BadInput as error:
                if on_error == "skip":
                    self.report.skip(Skipped(f"document {number}", None, str(error)))
                    continue
                failure = BadInput(f"document {number}: {error}")
                break
            characters += len(pending.document.text) + len(pending.metadata)
            batch.append(pending)
            if len(batch) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
        if batch:
            yield batch
        if failure is not None:
            raise failure

    def _call_back(self) -> None:
        waiting, self._waiting = self._waiting, []
        for committed in waiting:
            committed.then()

    def _store(self, received: list[_Pending]) -> None:
        with reading(self._session.database) as connection:
            resolved = resolve_ids(connection, self._session.id, [p.document for p in received])
            batch: dict[str, _Pending] = {}
            for pending, id_ in zip(received, resolved.ids, strict=True):
                self.report.duplicates += batch.pop(id_, None) is not None
                # The last one wins, and takes its place in the order.
                batch[id_] = pending if pending.id == id_ else replace(pending, id=id_)
            rest = [id_ for id_ in batch if id_ not in resolved.looked_up]
            known = {**resolved.known, **known_documents(connection, self._session.id, rest)}
            texts = {id_: pending.document.text for id_, pending in batch.items()}
            denials = find_denials(connection, self._session.id, texts)
        refusal = self._refuse(batch, known, Guard(self._session.name, denials))
        resolved.renamed = [id_ for id_ in resolved.renamed if id_ in batch]  # notes name what is stored
        self.report.duplicates += self._seen.add(batch)
        changes = {id_: _change(pending, known.get(id_)) for id_, pending in batch.items()}
        changed = {id_: change for id_, change in changes.items() if change is not None}
        self._note_whereabouts([p for id_, p in batch.items() if id_ not in changed], known)
        self.report.unchanged += len(batch) - len(changed)
        if changed:
            self._write(changed, batch, {id_: row for id_, row in known.items() if id_ in changed})
            updated = sum(id_ in known and not known[id_].deleted for id_ in changed)
            self.report.updated += updated
            self.report.added += len(changed) - updated
            self._say_what_happened_to_ids(resolved, [batch[id_] for id_ in changed])
        if self._progress is not None:
            self._progress(self.report)
        if changed and self._after_batch is not None:
            self._after_batch(self.report)
        if refusal is not None:
            raise refusal

    def _refuse(
        self, batch: dict[str, _Pending], known: Mapping[str, Known], guard: Guard
    ) -> BadInput | None:
        """Takes documents out of a batch that were erased before; with `on_error="raise"` also what comes
        after the first of them, and returns why.
        """
        order = list(batch)
        for at, id_ in enumerate(order):
            pending = batch[id_]
            row = known.get(id_)
            same_text = row is not None and not row.deleted and row.hash == pending.hash
            erasure = guard.erasure_of(id_, pending.document.text, same_text=same_text)
            if erasure is None:
                continue
            if self._on_error == "raise":
                for rest in order[at:]:
                    del batch[rest]
                return BadInput(guard.refusal(erasure))
            del batch[id_]
            self.report.deny(pending.number, pending.document.file_id)
        return None

    def _write(
        self, changed: dict[str, DocumentChange], batch: dict[str, _Pending], known: dict[str, Known]
    ) -> None:
        """Embeds what has a new text and commits all; once more if another serving became live meanwhile."""
        to_embed = [batch[id_] for id_, change in changed.items() if change.text_changed]
        while True:
            live = self._session.live()
            started = time.perf_counter()
            made = self._make(live, to_embed)
            self.report.embed_seconds += time.perf_counter() - started
            started = time.perf_counter()
            committed = self._commit(live, list(changed.values()), known, made)
            self.report.commit_seconds += time.perf_counter() - started
            if committed:
                break
        self.report.chunks += made.chunks
        self.report.clipped += made.clipped

    def _make(self, live: Live, pending: list[_Pending]) -> Embedded:
        if not pending:
            return Embedded([], [], 0)  # new metadata needs no model, which may be out of reach
        maker = self._maker_of(live)
        vectors = None
        if any(p.vector is not None for p in pending):
            vectors = np.stack([p.vector for p in pending if p.vector is not None])
        return maker.make([Titled(p.document.title, p.document.text) for p in pending], vectors)

    def _commit(
        self, live: Live, changes: list[DocumentChange], known: dict[str, Known], made: Embedded
    ) -> bool:
        """One transaction; False, and nothing was written, if another generation is live by now."""
        faults.point("add.before")
        with writing(self._session.database) as connection:
            state = self._session.row(connection)
            if self._session.live_in(connection, state).generation.id != live.generation.id:
                return False
            keys, last_seq = append_documents(connection, self._session.id, changes, known)
            embedded = [key for key, change in zip(keys, changes, strict=True) if change.text_changed]
            chunks = [
                DocumentChunks(key, spans, codes, made.beside_of(at))
                for at, (key, spans, codes) in enumerate(zip(embedded, made.spans, made.codes, strict=True))
            ]
            append_chunks(connection, live.generation.id, chunks)
            set_followed(connection, live.generation.id, state.last_seq, last_seq, made.clipped)
            if not embedded:
                pass_on(connection, self._session.id, state.last_seq, last_seq)
            faults.point("add.inside")
        faults.point("add.after")
        return True

    def _note_whereabouts(self, unchanged: list[_Pending], known: Mapping[str, Known]) -> None:
        """A folder that was moved leaves its documents as they were, but for the place of their files."""
        moved = {}
        for pending in unchanged:
            row = known[pending.id]
            before = Whereabouts(row.origin, row.file_id, row.marks)
            if (now := _whereabouts(pending, before)) != before:
                moved[row.key] = now
        if moved:
            with writing(self._session.database) as connection:
                set_whereabouts(connection, moved)

    def _say_what_happened_to_ids(self, resolved: Resolved, changed: list[_Pending]) -> None:
        for id_ in resolved.renamed:
            self.report.note(
                f"{id_} has the name of its folder or file before it: another file has the shorter id"
            )
        moved = [p for p in changed if p.id in resolved.moved]
        for pending in moved:
            self.report.note(f"{pending.id} was replaced by {pending.document.origin}: its file was gone")
        self.report.renamed += len(resolved.renamed)
        self.report.moved += len(moved)


def _prepare(item: Document | Mapping[str, Any], vector: np.ndarray | None, number: int) -> _Pending:
    document = Document.from_any(item)
    return _Pending(document, metadata_json(document.metadata), document.id, vector, number)


def metadata_json(metadata: Mapping[str, Any]) -> str:
    """Metadata as the catalog stores it: equal metadata gives equal text."""
    return json.dumps(metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _whereabouts(pending: _Pending, before: Whereabouts) -> Whereabouts:
    """Where a document lies now; one that a caller gave, without a file, stays where it was."""
    document = pending.document
    if not document.origin and document.file_id is None:
        return before
    return Whereabouts(document.origin or None, document.file_id or before.file_id, pending.marks)


def _row(vectors: np.ndarray | None, number: int) -> np.ndarray | None:
    if vectors is None:
        return None
    if number >= len(vectors):
        raise BadInput(f"there are only {len(vectors)} vectors: give one for each document")
    return vectors[number]


def _change(pending: _Pending, known: Known | None) -> DocumentChange | None:
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
