"""The vector view: snapshots of one generation's codes in one engine, and what was committed after them."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.database import reading
from indexing.catalog.following import ChunkBatch, chunks_after, count_chunk_changes, removals_after
from indexing.catalog.generations import GenerationInfo, read_generation
from indexing.catalog.reads import chunk_keys, decode_rows
from indexing.errors import CorruptView
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.files import remove
from indexing.storage.private import own_folder
from indexing.vectors.segment import EXACT_ENGINE, Rows
from indexing.vectors.snapshot import SEGMENT_BYTES, VectorSnapshot, write
from indexing.views.base import FEW_CHANGES
from indexing.views.folder import ViewFolder
from indexing.views.vector_reader import Hits, VectorReader

__all__ = ["TAIL_ROWS", "Hits", "VectorReader", "VectorView"]

_SNAPSHOT = re.compile(r"(?P<generation>\d+)-(?P<engine>\w+)-(?P<change>\d+)\.\d+")

# An exact scan of so many newer rows costs under a millisecond; more are worth a new snapshot.
TAIL_ROWS = 8192
# Rows that are read from the log in one transaction.
READ_ROWS = 20_000


class VectorView:
    """Finds, builds and follows the snapshots of one generation in one engine.

    Their watermark is the number of a change of the generation.
    """

    def __init__(self, session: Session, generation: GenerationInfo, engine: str, codec: Codec) -> None:
        self.what = f"vector view of generation {generation.id}"
        self._session = session
        self._generation = generation
        self._engine = engine
        self._codec = codec
        folder = session.place.views / "vectors"
        self._folder: ViewFolder[VectorSnapshot] = ViewFolder(folder, f"{generation.id}-{engine}")
        self._held: tuple[VectorSnapshot | None, VectorReader] | None = None

    @staticmethod
    def remove_all(session: Session, generation_id: int, but: str | None = None) -> None:
        """Removes the snapshots of a generation, whatever their engine, `but` those of one."""
        kept = None if but is None else f"{generation_id}-{but}-"
        for folder in _entries(session):
            if folder.name.startswith(f"{generation_id}-") and not (kept and folder.name.startswith(kept)):
                remove(folder)

    @staticmethod
    def followed(session: Session) -> dict[tuple[int, str], int]:
        """(generation, engine) → the change that its newest snapshot has followed to."""
        newest: dict[tuple[int, str], int] = {}
        for folder in _entries(session):
            if match := _SNAPSHOT.fullmatch(folder.name):
                key = (int(match["generation"]), match["engine"])
                newest[key] = max(newest.get(key, 0), int(match["change"]))
        return newest

    def serves(self, live: Live) -> bool:
        """Whether this is the view of what is live."""
        return (self._generation.id, self._engine) == (live.generation.id, live.serving.engine)

    def seq(self) -> int:
        return self._folder.seq()

    def is_ahead(self) -> bool:
        change = self.seq()  # looked up before the log, which grows
        with reading(self._session.database) as connection:
            generation = read_generation(connection, self._generation.id)
        return generation is not None and change > generation.last_change

    def is_behind(self, *, by_much: bool) -> bool:
        seq = self.seq()
        allowed = 0 if not by_much else TAIL_ROWS if seq else FEW_CHANGES
        with reading(self._session.database) as connection:
            return count_chunk_changes(connection, self._generation.id, seq, allowed + 1) > allowed

    def reader(self, connection: Connection) -> VectorReader:
        """The newest snapshot with everything that was committed after it."""
        purged = self._purged(connection)
        change, snapshot = self._newest(purged)
        held = self._held
        if held is None or held[0] is not snapshot or held[1].change < max(change, purged):
            held = snapshot, VectorReader.of(self._codec, snapshot, change)
        reader = held[1]
        while True:
            batch = chunks_after(connection, self._generation.id, reader.change, READ_ROWS)
            removed = removals_after(connection, self._generation.id, reader.change, batch.last)
            reader = reader.follow(self._rows(batch), removed, batch.last)
            if batch.is_last:
                break
        self._held = snapshot, reader
        return reader

    def _purged(self, connection: Connection) -> int:
        """What was removed up to this change is not said any more."""
        generation = read_generation(connection, self._generation.id)
        return 0 if generation is None else generation.purged_change

    def _newest(self, purged: int) -> tuple[int, VectorSnapshot | None]:
        """Change and content of the newest sound snapshot; (0, None) if there is none that can go on."""
        newest = self._folder.newest(self._open)
        return (0, None) if newest is None or newest[0] < purged else (newest[0], newest[2])

    def _open(self, path: Path) -> VectorSnapshot:
        """A snapshot that belongs to other codes is as bad as a damaged one."""
        snapshot = VectorSnapshot.open(path, self._folder.opened())
        if snapshot.meta.get("collection") != self._session.uuid:
            raise CorruptView(f"{path} belongs to another collection")
        if (
            snapshot.meta.get("fingerprint") != self._generation.fingerprint
            or snapshot.codec != self._codec
            or snapshot.engine != self._engine
        ):
            raise CorruptView(f"{path} was made with another model, other ranges or for another engine")
        return snapshot

    def _rows(self, batch: ChunkBatch) -> Rows:
        codes = decode_rows(b"".join(batch.codes), len(batch.keys), self._codec)
        return Rows(batch.keys, batch.document_keys, codes)

    def publish(self) -> None:
        """Writes the new rows to a snapshot beside those of the last one; many of them step by step."""
        while self._publish_next():
            pass

    def _publish_next(self) -> bool:
        """A snapshot with as many new rows as a segment should have; whether there are more."""
        with reading(self._session.database) as connection:
            change, base = self._newest(self._purged(connection))
        rows, last, more = self._read_rows(change)
        with reading(self._session.database) as connection:
            # Read last: what was removed meanwhile may be among the rows.
            removed = removals_after(connection, self._generation.id, change, last)
        if np.isin(rows.keys, removed).any():
            alive = ~np.isin(rows.keys, removed)
            rows = Rows(rows.keys[alive], rows.doc_keys[alive], rows.codes[alive])
        if base is not None and not len(rows.keys) and not len(removed):
            return False
        meta = {
            "change": last,
            "generation": self._generation.id,
            "collection": self._session.uuid,
            "fingerprint": self._generation.fingerprint,
        }
        target = self._folder.target(last)
        write(target, self._codec, rows, self._engine, meta, base=base, removed=removed)
        self._folder.keep_only(target)
        return more

    def _read_rows(self, change: int) -> tuple[Rows, int, bool]:
        """Rows of changes after `change`, the last of these changes, and whether there are later ones."""
        parts: list[Rows] = []
        wanted = max(SEGMENT_BYTES // self._codec.code_bytes, 1)
        while True:
            with reading(self._session.database) as connection:
                batch = chunks_after(connection, self._generation.id, change, min(READ_ROWS, wanted))
            parts.append(self._rows(batch))
            change, wanted = batch.last, wanted - len(batch.keys)
            if batch.is_last or wanted <= 0:
                return Rows.joined(parts, self._codec), change, not batch.is_last

    def newest(self) -> VectorSnapshot | None:
        """The newest sound snapshot."""
        newest = self._folder.newest(self._open)
        return None if newest is None else newest[2]

    def examine(self) -> list[str]:
        def read_whole(path: Path) -> None:
            snapshot = self._open(path)
            snapshot.verify()
            for segment in snapshot.segments:
                if segment.engine != EXACT_ENGINE or self._codec.is_binary:
                    segment.load_index()

        self._held = None
        return self._folder.examine(read_whole)

    def check(self) -> list[str]:
        problems = self.examine()
        with reading(self._session.database) as connection:
            reader = self.reader(connection)
            expected = chunk_keys(connection, self._generation.id)
        if not np.array_equal(np.sort(reader.live_keys), expected):
            problems.append(f"{self.what}: its chunks differ from the catalog's")
            self.discard()
        return problems

    def discard(self) -> None:
        self._held = None
        self._folder.clear()

    def file_bytes(self) -> tuple[int, int]:
        """Sizes of the newest snapshot: what engines hold in memory, and what is memory-mapped."""
        sizes = {"engine": 0, "rows": 0}
        for _, folder in self._folder.snapshots()[:1]:
            with suppress(FileNotFoundError):  # replaced at this moment
                for path in folder.glob("*-*.bin"):
                    sizes[path.name.partition("-")[0]] += path.stat().st_size
        return sizes["engine"], sizes["rows"]


def _entries(session: Session) -> list[Path]:
    """What lies in the folder of all vector views; links are not followed."""
    folder = own_folder(session.place.views / "vectors")
    is_own = folder.is_dir() and not folder.is_symlink() and not folder.parent.is_symlink()
    return list(folder.iterdir()) if is_own else []
