"""The vector view in pgvector: a table at the server instead of snapshots in a folder.

Rows and the number of the change they were followed to are committed together, so a table is never half of
anything. One that is made anew, of the catalog at one moment, takes the place of the older one when all is
in it: until then, that one is searched. Whoever holds the lock of the table advances it, from whatever host;
all others read. What was committed after it is scanned exactly, as with every other engine.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.database import reading
from indexing.catalog.following import ChunkBatch, chunks_after, count_chunk_changes, removals_after
from indexing.catalog.generations import GenerationInfo
from indexing.catalog.reads import decode_rows
from indexing.errors import CorruptView, LockedError
from indexing.quantization import Codec
from indexing.session import Live, Session
from indexing.storage.segments import Sorted, sort_with_order
from indexing.vectors.pgvector import PgvectorIndex, TableCodes
from indexing.vectors.segment import Rows
from indexing.vectors.table_state import (
    TableState,
    changing_tables,
    drop_tables,
    drop_unused,
    keep_generation,
    make_states,
    new_number,
    read_state,
    write_state,
)
from indexing.vectors.vector_table import VectorTable, read_chunk_keys, require_extension
from indexing.views.chunk_view import READ_ROWS, ChunkView
from indexing.views.vector_reader import VectorReader
from stlib.util.forks import cached_property

__all__ = ["TABLE_ENGINE", "TableSnapshot", "VectorTableView"]

TABLE_ENGINE = PgvectorIndex.engine

_CHECKED_ROWS = 5_000
# Seconds that a table which is replaced waits for its readers, while who comes later waits behind it.
_PATIENCE, _LONG_PATIENCE = 1, 10


class TableSegment:
    """The rows of a table, in the order of the log: what a `VectorSegment` is to a folder."""

    engine = PgvectorIndex.engine

    def __init__(self, rows: TableCodes, doc_keys: np.ndarray, codec: Codec) -> None:
        self.keys, self.doc_keys, self.codes = rows.keys, doc_keys, rows
        self.index = PgvectorIndex.build(codec, rows)

    def __len__(self) -> int:
        return len(self.keys)

    def ensure_whole(self) -> None:
        """The server checks its pages itself."""

    def rows_of_keys(self, keys: np.ndarray) -> np.ndarray:
        """The rows of those of `keys` (int64) that are here."""
        return self.codes.rows_of(keys)

    @cached_property
    def by_document(self) -> Sorted:
        """Rows ordered by document (None: as they are), and the document keys in that order."""
        return sort_with_order(self.doc_keys)


class TableSnapshot:
    """The table `number` as it is at `change`."""

    def __init__(self, change: int, number: int, segment: TableSegment) -> None:
        self.change, self.number = change, number
        self.segment = segment
        self.segments = [segment] if len(segment) else []
        self.meta: dict[str, Any] = {"change": change}

    def gone_rows(self, segment: TableSegment, removed: np.ndarray) -> np.ndarray:
        return np.sort(segment.rows_of_keys(removed))

    def verify(self) -> None:
        """There is nothing to read: the view compares rows with the catalog."""


class VectorTableView(ChunkView[TableSnapshot, VectorReader, Rows]):
    """Makes and follows the table of one generation."""

    def __init__(self, session: Session, generation: GenerationInfo, codec: Codec) -> None:
        self.what = f"pgvector table of generation {generation.id}"
        self._codec = codec
        made_of = "\n".join((session.uuid, generation.fingerprint, codec.to_json()))
        self._made_of = hashlib.blake2b(made_of.encode(), digest_size=16).hexdigest()
        self._snapshot: TableSnapshot | None = None
        super().__init__(session, generation, session.place.views / "vectors", f"{generation.id}-pgvector")

    def serves(self, live: Live) -> bool:
        """Whether this is the view of what is live."""
        return (self._generation.id, TABLE_ENGINE) == (live.generation.id, live.serving.engine)

    # --- reading -------------------------------------------------------------------------------------------

    def seq(self) -> int:
        with reading(self._session.database) as connection:
            state = self._state(connection)
        return 0 if state is None else state.change

    def _state(self, connection: Connection) -> TableState | None:
        """None where there is no table, or one of something else."""
        state = read_state(connection, self._generation.id)
        return None if state is None or state.made_of != self._made_of else state

    def _newest(self, connection: Connection, purged: int) -> tuple[int, TableSnapshot | None]:
        state = self._state(connection)
        if state is None or state.change < purged:
            return 0, None
        known = self._snapshot
        if known is None or (known.change, known.number) != (state.change, state.number):
            self._snapshot = self._read_snapshot(connection, state, purged)
        return state.change, self._snapshot

    def _read_snapshot(self, connection: Connection, state: TableState, purged: int) -> TableSnapshot:
        """What the table holds; only what is new where one of an earlier change is known."""
        known, change = self._snapshot, state.change
        after = 0 if known is None or not purged <= known.change <= change else known.change
        keys, doc_keys = read_chunk_keys(connection, self._generation.id, after, change)
        if known is not None and after:
            removed = removals_after(connection, self._generation.id, after, change)
            kept = ~np.isin(known.segment.keys, removed)
            keys = np.concatenate([known.segment.keys[kept], keys])
            doc_keys = np.concatenate([known.segment.doc_keys[kept], doc_keys])
        rows = TableCodes(self._session.database, self._table(state.number), self._codec, keys)
        return TableSnapshot(change, state.number, TableSegment(rows, doc_keys, self._codec))

    def _table(self, number: int) -> VectorTable:
        return VectorTable(self._generation.id, self._codec, number=number)

    def newest(self) -> TableSnapshot | None:
        """The table as it is now."""
        with reading(self._session.database) as connection:
            return self._newest(connection, self._purged(connection))[1]

    def _decode(self, batch: ChunkBatch) -> Rows:
        codes = decode_rows(b"".join(batch.codes), len(batch.keys), self._codec)
        return Rows(batch.keys, batch.document_keys, codes)

    def _reader_of(self, snapshot: TableSnapshot | None, change: int) -> VectorReader:
        return VectorReader.of(self._codec, snapshot, change)

    def _follow(self, reader: VectorReader, rows: Rows, removed: np.ndarray, change: int) -> VectorReader:
        return reader.follow(rows, removed, change)

    def file_bytes(self) -> tuple[int, int]:
        """Bytes that this process holds, and none that are mapped: the rest is the server's."""
        return (0 if self._snapshot is None else 16 * len(self._snapshot.segment)), 0

    # --- advancing -----------------------------------------------------------------------------------------

    def publish(self) -> None:
        super().publish()
        with suppress(LockedError):  # who reads one for longer lets go of it some day
            drop_unused(self._session.database, self._generation.id, seconds=_PATIENCE)

    def _publish_next(self, *, afresh: bool = False) -> bool:
        """Brings as many changes as are read at once into the table; whether there may be more. One that is
        far behind, or `afresh`, is made anew.
        """
        with changing_tables(self._session.database, self._generation.id) as connection:
            state = self._state(connection)
            if afresh or state is None or state.change < self._purged(connection):
                self._make(connection)
                return True
            batch = chunks_after(connection, self._generation.id, state.change, READ_ROWS)
            if state.graph and not batch.is_last and self._doubles(connection, state, batch.last):
                self._make(connection)
                return True
            self._advance(connection, state, batch)
        return not batch.is_last

    def _advance(self, connection: Connection, state: TableState, batch: ChunkBatch) -> None:
        """The graph is made when all rows are there for the first time, in half the time of adding to one."""
        table, rows = self._table(state.number), self._decode(batch)
        table.remove(connection, removals_after(connection, self._generation.id, state.change, batch.last))
        table.append(connection, rows.keys, rows.codes)
        graph = state.graph or (batch.is_last and self._build_graph(connection, table))
        write_state(connection, self._generation.id, state._replace(change=batch.last, graph=graph))

    def _doubles(self, connection: Connection, state: TableState, change: int) -> bool:
        """Whether as many rows come after `change` as there are: a new graph of all is made sooner."""
        there = self._table(state.number).count(connection)
        return count_chunk_changes(connection, self._generation.id, change, there) >= there

    def _make(self, connection: Connection) -> None:
        """A table of what the catalog has now, in place of whatever there is."""
        require_extension(connection)
        make_states(connection)
        number = new_number(connection)
        table = self._table(number)
        table.create(connection)
        change, is_last = 0, False
        while not is_last:
            batch = chunks_after(connection, self._generation.id, change, READ_ROWS)
            rows = self._decode(batch)
            table.append(connection, rows.keys, rows.codes)
            change, is_last = batch.last, batch.is_last
        graph = self._build_graph(connection, table)
        keep_generation(connection, self._generation.id)
        write_state(connection, self._generation.id, TableState(self._made_of, change, graph, number))

    def _build_graph(self, connection: Connection, table: VectorTable) -> bool:
        """Unless there are so few rows that none is worth it."""
        count = table.count(connection)
        if worth_it := count > PgvectorIndex.scan_rows:
            table.build_graph(connection, count)
        return worth_it

    def discard(self) -> None:
        self._held = self._snapshot = None
        with changing_tables(self._session.database, self._generation.id) as connection:
            drop_tables(connection, [self._generation.id])

    def renew(self) -> None:
        """A new table holds no row that was removed, dead or alive."""
        self._held = self._snapshot = None
        self._publish_next(afresh=True)
        drop_unused(self._session.database, self._generation.id, seconds=_LONG_PATIENCE)
        self.publish()

    # --- checking ------------------------------------------------------------------------------------------

    def examine(self) -> list[str]:
        """Looks again at what the server has, which checks its own files."""
        self._held = self._snapshot = None
        return []

    def check(self) -> list[str]:
        try:
            problem = self._look_for_difference()
        except CorruptView:  # made anew at this moment
            problem = self._look_for_difference()
        if problem is None:
            return []
        self.discard()
        return [f"{self.what}: {problem}"]

    def _look_for_difference(self) -> str | None:
        self.examine()
        with reading(self._session.database) as connection:
            change, snapshot = self._newest(connection, self._purged(connection))
            return None if snapshot is None else self._find_difference(connection, change, snapshot.segment)

    def _find_difference(self, connection: Connection, change: int, segment: TableSegment) -> str | None:
        table, expected = segment.codes.table, segment.keys
        there = table.keys(connection)
        later = removals_after(connection, self._generation.id, change, 2**62)
        if len(np.setdiff1d(expected, there)) or len(np.setdiff1d(there, np.concatenate([expected, later]))):
            return "its chunks differ from the catalog's"
        for at in range(0, len(expected), _CHECKED_ROWS):
            found = table.codes(connection, expected[at : at + _CHECKED_ROWS])
            if table.count_altered(connection, found.keys, found.codes):
                return "its vectors differ from the catalog's codes"
        return None
