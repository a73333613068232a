"""What views of a generation's passages have in common: snapshots of codes, and what was committed after
them.

Their watermark is the number of a change of the generation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.database import reading
from indexing.catalog.following import ChunkBatch, chunks_after, count_chunk_changes, removals_after
from indexing.catalog.generations import GenerationInfo, read_generation
from indexing.catalog.reads import chunk_keys
from indexing.catalog.schema import CODES
from indexing.errors import CorruptView
from indexing.session import Session
from indexing.views.base import FEW_CHANGES, can_go_on
from indexing.views.folder import ViewFolder

__all__ = ["TAIL_ROWS", "ChunkView", "PassageRows", "Reader", "Snapshot"]

# An exact scan of so many newer rows costs under a millisecond; more are worth a new snapshot.
TAIL_ROWS = 8192
# Rows that are read from the log in one transaction.
READ_ROWS = 20_000


class PassageRows(Protocol):
    """Passages with their codes."""

    @property
    def keys(self) -> np.ndarray: ...

    @property
    def doc_keys(self) -> np.ndarray: ...


class Snapshot(Protocol):
    """A published folder, opened."""

    @property
    def meta(self) -> dict[str, Any]: ...

    def verify(self) -> None: ...


class Reader(Protocol):
    """One consistent state of the rows; `change`: what happened up to there is known."""

    change: int

    @property
    def count(self) -> int: ...

    @property
    def live_keys(self) -> np.ndarray: ...


S = TypeVar("S", bound=Snapshot)
R = TypeVar("R", bound=Reader)
Rows = TypeVar("Rows", bound=PassageRows)


class ChunkView(Generic[S, R, Rows]):
    """Finds, builds and follows the snapshots of one generation's codes of one kind.

    A subclass knows the codes: the table they lie in, how many rows a segment should have, and how to decode,
    open, read, write and follow them.
    """

    what: str
    codes = CODES
    segment_rows: int

    def __init__(self, session: Session, generation: GenerationInfo, folder: Path, prefix: str) -> None:
        self._session = session
        self._generation = generation
        self._folder: ViewFolder[S] = ViewFolder(folder, prefix)
        self._held: tuple[S | None, R] | None = None

    # --- what a subclass knows -----------------------------------------------------------------------------

    def _decode(self, batch: ChunkBatch) -> Rows:
        """The passages of a batch."""
        raise NotImplementedError

    def _join(self, parts: list[Rows]) -> Rows:
        """All of them, in this order."""
        raise NotImplementedError

    def _without(self, rows: Rows, gone: np.ndarray) -> Rows:
        """Those whose place in the boolean table `gone` is false."""
        raise NotImplementedError

    def _open_snapshot(self, path: Path) -> S:
        """
        Raises:
            CorruptView: it is damaged, or does not fit this generation.
        """
        raise NotImplementedError

    def _reader_of(self, snapshot: S | None, change: int) -> R:
        raise NotImplementedError

    def _follow(self, reader: R, rows: Rows, removed: np.ndarray, change: int) -> R:
        raise NotImplementedError

    def _write(
        self, target: Path, rows: Rows, meta: dict[str, Any], base: S | None, removed: np.ndarray
    ) -> None:
        raise NotImplementedError

    def _read_whole(self, snapshot: S) -> None:
        """Reads every byte of it, as `examine` wants."""
        snapshot.verify()

    # --- the view ------------------------------------------------------------------------------------------

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

    def reader(self, connection: Connection) -> R:
        """The newest snapshot with everything that was committed after it."""
        purged = self._purged(connection)
        change, snapshot = self._newest(connection, purged)
        held = self._held
        if held is None or held[0] is not snapshot or held[1].change < max(change, purged):
            held = snapshot, self._reader_of(snapshot, change)
        reader = held[1]
        while True:
            batch = self._chunks_after(connection, reader.change, READ_ROWS)
            removed = removals_after(connection, self._generation.id, reader.change, batch.last)
            reader = self._follow(reader, self._decode(batch), removed, batch.last)
            if batch.is_last:
                break
        self._held = snapshot, reader
        return reader

    def count(self, connection: Connection) -> int | None:
        """How many passages there are; None where more is newer than a snapshot than a search should read."""
        change, snapshot = self._newest(connection, self._purged(connection))
        newer = count_chunk_changes(connection, self._generation.id, change, TAIL_ROWS + 1)
        return None if snapshot is None or newer > TAIL_ROWS else self.reader(connection).count

    def _chunks_after(self, connection: Connection, change: int, limit: int) -> ChunkBatch:
        return chunks_after(connection, self._generation.id, change, limit, self.codes)

    def _purged(self, connection: Connection) -> int:
        """What was removed up to this change is not said any more."""
        generation = read_generation(connection, self._generation.id)
        return 0 if generation is None else generation.purged_change

    def _newest(self, _connection: Connection, purged: int) -> tuple[int, S | None]:
        """Change and content of the newest sound snapshot; (0, None) if there is none that can go on."""
        newest = self._folder.newest(self._open)
        if newest is None or not can_go_on(newest[0], newest[2].meta, purged):
            return 0, None
        return newest[0], newest[2]

    def _open(self, path: Path) -> S:
        """A snapshot that belongs to other codes is as bad as a damaged one."""
        snapshot = self._open_snapshot(path)
        if snapshot.meta.get("collection") != self._session.uuid:
            raise CorruptView(f"{path} belongs to another collection")
        return snapshot

    def publish(self) -> None:
        """Writes the new rows to a snapshot beside those of the last one; many of them step by step."""
        while self._publish_next():
            pass

    def renew(self) -> None:
        self._held = None
        self._folder.close()
        if self._publish_next(afresh=True):
            self.publish()

    def _publish_next(self, *, afresh: bool = False) -> bool:
        """A snapshot with as many new rows as a segment should have; whether there are more. With `afresh` it
        is the first, and nothing is taken from those that there are.
        """
        with reading(self._session.database) as connection:
            purged = self._purged(connection)
            change, base = (0, None) if afresh else self._newest(connection, purged)
        rows, last, more = self._read_rows(change)
        with reading(self._session.database) as connection:
            # Read last: what was removed meanwhile may be among the rows.
            removed = removals_after(connection, self._generation.id, change, last)
            if self._purged(connection) != purged:  # and is not said any more
                return self._publish_next(afresh=afresh)
        if (gone := np.isin(rows.keys, removed)).any():
            rows = self._without(rows, gone)
        if base is not None and not len(rows.keys) and not len(removed):
            return False
        meta = {
            "change": last,
            "purged": purged,
            "generation": self._generation.id,
            "collection": self._session.uuid,
        }
        target = self._folder.target(last)
        self._write(target, rows, meta, base, removed)
        self._folder.keep_only(target)
        return more

    def _read_rows(self, change: int) -> tuple[Rows, int, bool]:
        """Rows of changes after `change`, the last of these changes, and whether there are later ones."""
        parts: list[Rows] = []
        wanted = max(self.segment_rows, 1)
        while True:
            with reading(self._session.database) as connection:
                batch = self._chunks_after(connection, change, min(READ_ROWS, wanted))
            parts.append(self._decode(batch))
            change, wanted = batch.last, wanted - len(batch.keys)
            if batch.is_last or wanted <= 0:
                return self._join(parts), change, not batch.is_last

    def newest(self) -> S | None:
        """The newest sound snapshot."""
        newest = self._folder.newest(self._open)
        return None if newest is None else newest[2]

    def examine(self) -> list[str]:
        self._held = None
        return self._folder.examine(lambda path: self._read_whole(self._open(path)))

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
