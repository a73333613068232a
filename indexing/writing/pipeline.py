"""Bulk indexing: read ▸ hash ▸ skip the unchanged ▸ chunk ▸ embed ▸ quantise ▸ commit, one batch at a time.

Every batch is one transaction, so a run that is killed has lost nothing that it reported, and the next run
over the same documents finds them by their hash and does not embed them again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from indexing import faults
from indexing.catalog.database import reading, writing
from indexing.catalog.log import DocumentChange, Known, set_whereabouts
from indexing.documents import Document, Skipped
from indexing.embed import Embedded
from indexing.errors import BadInput
from indexing.generations.makers import Maker
from indexing.session import Live, Session
from indexing.writing.batch import (
    Batch,
    Pending,
    changes_of,
    count_changes,
    keep_out,
    look_up,
    prepare,
    titled,
    whereabouts_of,
    write_changes,
)
from indexing.writing.report import AddReport, Progress
from indexing.writing.seen import SeenIds

__all__ = ["Committed", "Pipeline"]

BATCH_DOCUMENTS = 1024  # one fsync per batch; more gains under 2 % and makes Ctrl-C lose more work
BATCH_CHARACTERS = 4_000_000  # a batch of long documents stays a few tens of MiB

MakerOf = Callable[[Live], Maker]
"""What turns texts into codes for the serving that is live now."""


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
    ) -> Iterator[list[Pending]]:
        batch: list[Pending] = []
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
                pending = prepare(item, _row(vectors, number), number)
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

    def _store(self, received: list[Pending]) -> None:
        with reading(self._session.database) as connection:
            batch = look_up(connection, self._session, received)
        self.report.duplicates += batch.duplicates
        refusal = keep_out(batch, self.report, self._on_error)
        self.report.duplicates += self._seen.add(batch.pending)
        changed = changes_of(batch)
        if moved := whereabouts_of(batch, changed):
            with writing(self._session.database) as connection:
                set_whereabouts(connection, moved)
        self.report.unchanged += len(batch.pending) - len(changed)
        if changed:
            self._write(changed, batch)
            count_changes(self.report, batch, changed)
        if self._progress is not None:
            self._progress(self.report)
        if changed and self._after_batch is not None:
            self._after_batch(self.report)
        if refusal is not None:
            raise refusal

    def _write(self, changed: Mapping[str, DocumentChange], batch: Batch) -> None:
        """Embeds what has a new text and commits all; once more if another serving became live meanwhile."""
        to_embed = [batch.pending[id_] for id_, change in changed.items() if change.text_changed]
        while True:
            live = self._session.live()
            started = time.perf_counter()
            made = self._make(live, to_embed)
            self.report.embed_seconds += time.perf_counter() - started
            started = time.perf_counter()
            committed = self._commit(live, list(changed.values()), batch.known, made)
            self.report.commit_seconds += time.perf_counter() - started
            if committed:
                break
        self.report.chunks += made.chunks
        self.report.clipped += made.clipped

    def _make(self, live: Live, pending: list[Pending]) -> Embedded:
        if not pending:
            return Embedded([], [], 0)  # new metadata needs no model, which may be out of reach
        maker = self._maker_of(live)
        vectors = None
        if any(p.vector is not None for p in pending):
            vectors = np.stack([p.vector for p in pending if p.vector is not None])
        return maker.make(titled(pending), vectors)

    def _commit(
        self, live: Live, changes: list[DocumentChange], known: Mapping[str, Known], made: Embedded
    ) -> bool:
        """One transaction; False, and nothing was written, if another generation is live by now."""
        faults.point("add.before")
        with writing(self._session.database) as connection:
            state = self._session.row(connection)
            if self._session.live_in(connection, state).generation.id != live.generation.id:
                return False
            write_changes(connection, self._session, state, live.generation.id, changes, known, made)
            faults.point("add.inside")
        faults.point("add.after")
        return True


def _row(vectors: np.ndarray | None, number: int) -> np.ndarray | None:
    if vectors is None:
        return None
    if number >= len(vectors):
        raise BadInput(f"there are only {len(vectors)} vectors: give one for each document")
    return vectors[number]
