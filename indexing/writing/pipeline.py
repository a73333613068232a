"""Bulk indexing: read ▸ hash ▸ skip the unchanged ▸ chunk ▸ embed ▸ quantise ▸ commit, one batch at a time.

Every batch is one transaction, so a run that is killed has lost nothing that it reported, and the next run
over the same documents finds them by their hash and does not embed them again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sqlalchemy import Engine

from indexing.catalog.collections import GenerationInfo, set_codec
from indexing.catalog.database import reading, writing
from indexing.catalog.hashing import content_hash
from indexing.catalog.log import Change, Known, append_changes, known_documents, set_origins
from indexing.documents import ChunkSettings, Document, Skipped, chunk_documents
from indexing.errors import BadInput
from indexing.models.encoders import normalised
from indexing.quantization import Codec
from indexing.writing.identity import Resolved, resolve_ids
from indexing.writing.seen import SeenIds
from stlib.runtime import EncoderProtocol

__all__ = ["AddReport", "Pipeline", "Progress", "chunk_text"]

BATCH_DOCUMENTS = 1024  # one fsync per batch; more gains under 2 % and makes Ctrl-C lose more work
BATCH_CHARACTERS = 4_000_000  # a batch of long documents stays a few tens of MiB
ENCODE_CHUNKS = 4096
KEPT_SKIPS = 1000  # skipped lines are counted without end but listed up to here
KEPT_NOTES = 20
SMALL_SAMPLE = 1000


@dataclass
class AddReport:
    """What became of the documents of one `add`.

    `duplicates` counts documents whose id had come before in the same run: the last one wins. `renamed`
    counts new documents whose id is longer than their path, because another file has the short one; `moved`
    changed ones whose file lay elsewhere before and is gone from there; `notes` name some of both. `clipped`
    counts code values outside the calibrated ranges. `keyword_lag` is how many changes the keyword index
    still has to follow.
    """

    received: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0
    renamed: int = 0
    moved: int = 0
    skipped: int = 0
    skips: list[Skipped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    chunks: int = 0
    clipped: int = 0
    seconds: float = 0.0
    embed_seconds: float = 0.0
    commit_seconds: float = 0.0
    view_seconds: float = 0.0
    keyword_lag: int = 0

    @property
    def committed(self) -> int:
        """Documents that are safely stored, whether by this run or before it."""
        return self.added + self.updated + self.unchanged

    def skip(self, skipped: Skipped) -> None:
        self.skipped += 1
        if len(self.skips) < KEPT_SKIPS:
            self.skips.append(skipped)

    def note(self, note: str) -> None:
        if len(self.notes) < KEPT_NOTES:
            self.notes.append(note)


Progress = Callable[[AddReport], None]


@dataclass(frozen=True)
class _Pending:
    document: Document
    hash: bytes
    metadata: str
    id: str


def chunk_text(title: str, text: str) -> str:
    """What is embedded for a chunk: its words under the document's title, which often names the subject."""
    begins_with_title = text.startswith(title) and not text[len(title) : len(title) + 1].isalnum()
    return text if not title or begins_with_title else f"{title}\n{text}"


class Pipeline:
    """Adds documents to one generation of one collection. The caller holds the `documents` lock."""

    def __init__(
        self,
        engine: Engine,
        collection_id: int,
        generation: GenerationInfo,
        encoder: EncoderProtocol,
        *,
        progress: Progress | None = None,
        after_batch: Callable[[], None] | None = None,
    ) -> None:
        self._engine = engine
        self._collection_id = collection_id
        self._generation = generation.id
        self._precision = generation.precision
        self._settings = ChunkSettings(**generation.chunking)
        self._codec = Codec.from_json(generation.codec) if generation.codec else None
        self._encoder = encoder
        self._progress = progress
        self._after_batch = after_batch
        self._seen = SeenIds()
        self._clipped_stored = 0
        self.report = AddReport()

    def run(
        self, documents: Iterable[Document | Skipped | Mapping[str, Any]], on_error: str = "raise"
    ) -> AddReport:
        """Stores `documents`; with `on_error="skip"` one that cannot be used is reported instead of raised.

        Raises:
            BadInput: a document cannot be used (those before it are stored).
        """
        started = time.perf_counter()
        try:
            for batch in self._batches(documents, on_error):
                self._store(batch)
        finally:
            self.report.seconds += time.perf_counter() - started
        return self.report

    def _batches(self, documents: Iterable[Any], on_error: str) -> Iterator[list[_Pending]]:
        batch: list[_Pending] = []
        characters = 0
        failure: BadInput | None = None
        for number, item in enumerate(documents):
            self.report.received += 1
            if isinstance(item, Skipped):
                self.report.skip(item)
                continue
            try:
                pending = _prepare(item)
            except BadInput as error:
                if on_error == "skip":
                    self.report.skip(Skipped(f"document {number}", None, str(error)))
                    continue
                failure = BadInput(f"document {number}: {error}")
                break
            characters += len(pending.document.text)
            batch.append(pending)
            if len(batch) >= BATCH_DOCUMENTS or characters >= BATCH_CHARACTERS:
                yield batch
                batch, characters = [], 0
        if batch:
            yield batch
        if failure is not None:
            raise failure

    def _store(self, received: list[_Pending]) -> None:
        with reading(self._engine) as connection:
            resolved = resolve_ids(connection, self._collection_id, [p.document for p in received])
            batch: dict[str, _Pending] = {}
            for pending, id_ in zip(received, resolved.ids, strict=True):
                self.report.duplicates += batch.pop(id_, None) is not None
                batch[id_] = replace(pending, id=id_)  # the last one wins, and takes its place in the order
            rest = [id_ for id_ in batch if id_ not in resolved.looked_up]
            known = {**resolved.known, **known_documents(connection, self._collection_id, rest)}
        self.report.duplicates += self._seen.add(batch)
        live = {id_: row for id_, row in known.items() if not row.deleted}
        unchanged = [p for p in batch.values() if p.id in live and live[p.id].hash == p.hash]
        changed = [p for p in batch.values() if p.id not in live or live[p.id].hash != p.hash]
        self._note_origins(unchanged, live)
        self.report.unchanged += len(unchanged)
        if changed:
            self._commit(self._changes(changed))
            updated = sum(p.id in live for p in changed)
            self.report.updated += updated
            self.report.added += len(changed) - updated
            self._say_what_happened_to_ids(resolved, changed)
        if self._progress is not None:
            self._progress(self.report)
        if changed and self._after_batch is not None:
            self._after_batch()

    def _note_origins(self, unchanged: list[_Pending], known: dict[str, Known]) -> None:
        """A folder that was moved leaves its documents as they were, but for the place of their files."""
        moved = {
            known[p.id].key: p.document.origin
            for p in unchanged
            if p.document.origin and p.document.origin != known[p.id].origin
        }
        if moved:
            with writing(self._engine) as connection:
                set_origins(connection, moved)

    def _say_what_happened_to_ids(self, resolved: Resolved, changed: list[_Pending]) -> None:
        for id_ in resolved.renamed:
            self.report.note(f"{id_} has the name of a folder before it: another file has the shorter id")
        moved = [p for p in changed if p.id in resolved.moved]
        for pending in moved:
            self.report.note(f"{pending.id} was replaced by {pending.document.origin}: its file was gone")
        self.report.renamed += len(resolved.renamed)
        self.report.moved += len(moved)

    def _changes(self, pending: list[_Pending]) -> list[Change]:
        started = time.perf_counter()
        spans = chunk_documents(
            [p.document.text for p in pending],
            self._encoder.token_spans,
            self._settings,
            getattr(self._encoder, "token_counts", None),
        )
        texts = [
            chunk_text(p.document.title, p.document.text[start:end])
            for p, of_document in zip(pending, spans, strict=True)
            for start, end in of_document
        ]
        codes = iter(self._codes(texts))
        changes = [
            Change(
                p.id,
                p.hash,
                p.document.title,
                p.document.text,
                p.metadata,
                of_document,
                [next(codes) for _ in of_document],
                p.document.origin or None,
            )
            for p, of_document in zip(pending, spans, strict=True)
        ]
        self.report.chunks += len(texts)
        self.report.embed_seconds += time.perf_counter() - started
        return changes

    def _codes(self, texts: list[str]) -> Iterator[bytes]:
        for first in range(0, len(texts), ENCODE_CHUNKS):
            vectors = normalised(self._encoder.encode_document(texts[first : first + ENCODE_CHUNKS]))
            codes, clipped = self._calibrated(vectors).encode(vectors)
            self.report.clipped += clipped
            yield from (row.tobytes() for row in codes)

    def _calibrated(self, vectors: np.ndarray) -> Codec:
        """The generation's codec; the first vectors of the generation calibrate it, once."""
        if self._codec is None:
            self._codec = Codec.fit(self._precision, _calibration_sample(vectors))  # type: ignore[arg-type]
            with writing(self._engine) as connection:
                set_codec(connection, self._generation, self._codec.to_json())
        return self._codec

    def _commit(self, changes: list[Change]) -> None:
        started = time.perf_counter()
        clipped = self.report.clipped - self._clipped_stored
        with writing(self._engine) as connection:
            append_changes(connection, self._collection_id, self._generation, changes, clipped)
        self._clipped_stored = self.report.clipped
        self.report.commit_seconds += time.perf_counter() - started


def _prepare(item: Document | Mapping[str, Any]) -> _Pending:
    document = Document.from_any(item)
    metadata = json.dumps(document.metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return _Pending(document, content_hash(document.title, document.text, metadata), metadata, document.id)


def _calibration_sample(vectors: np.ndarray) -> np.ndarray:
    """`vectors`, and while they are few also ±8/√d, eight standard deviations of a random unit vector's
    values.

    A collection may begin with a single document, whose own range would clip everything that follows.
    """
    if len(vectors) >= SMALL_SAMPLE:
        return vectors
    dimension = vectors.shape[1]
    bound = np.full((1, dimension), 8 / np.sqrt(dimension), dtype=np.float32)
    return np.vstack([vectors, bound, -bound])
