"""The vector view in pgvector: a table at the server instead of snapshots in a folder.

Rows and the number of the change they were followed to are committed together, so a table is never half of
anything. One that is made anew, of the catalog at one moment, takes the place of the older one when all is
in it: until then, that one is searched. Whoever holds the lock of the table advances it, from whatever host;
all others read. What was committed after it is scanned exactly, as with every other engine.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress

import numpy as np
from sqlalchemy import Connection

from indexing.catalog.database import reading
from indexing.catalog.following import ChunkBatch, chunks_after, count_chunk_changes, removals_after
from indexing.catalog.generations import GenerationInfo
from indexing.errors import LockedError
from indexing.quantization import Codec
from indexing.session import Session
from indexing.vectors.pgvector import PgvectorIndex, TableCodes
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
from indexing.views.chunk_view import READ_ROWS
from indexing.views.server_view import CHECKED_ROWS, ServerSnapshot, ServerView, State

__all__ = ["TABLE_ENGINE", "VectorTableView"]

TABLE_ENGINE = PgvectorIndex.engine

# Seconds that a table which is replaced waits for its readers, while who comes later waits behind it.
_PATIENCE, _LONG_PATIENCE = 1, 10


class VectorTableView(ServerView):
    """Makes and follows the table of one generation."""

    engine = PgvectorIndex

    def __init__(self, session: Session, generation: GenerationInfo, codec: Codec) -> None:
        self.what = f"pgvector table of generation {generation.id}"
        made_of = "\n".join((session.uuid, generation.fingerprint, codec.to_json()))
        self._made_of = hashlib.blake2b(made_of.encode(), digest_size=16).hexdigest()
        super().__init__(session, generation, codec)

    # --- reading -------------------------------------------------------------------------------------------

    def seq(self) -> int:
        with reading(self._session.database) as connection:
            state = self._state(connection)
        return 0 if state is None else state.change

    def _state(self, connection: Connection) -> TableState | None:
        """None where there is no table, or one of something else."""
        state = read_state(connection, self._generation.id)
        return None if state is None or state.made_of != self._made_of else state

    def _newest(self, connection: Connection, purged: int) -> tuple[int, ServerSnapshot | None]:
        state = self._state(connection)
        if state is None or state.change < purged:
            return 0, None
        return state.change, self._at(connection, state, state.change, purged)

    def _read_keys(self, connection: Connection, after: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        return read_chunk_keys(connection, self._generation.id, after, last)

    def _codes_at(self, state: State, keys: np.ndarray) -> TableCodes:
        return TableCodes(self._session.database, self._table(state.number), self._codec, keys)

    def _table(self, number: int) -> VectorTable:
        return VectorTable(self._generation.id, self._codec, number=number)

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
        self._let_go()
        with changing_tables(self._session.database, self._generation.id) as connection:
            drop_tables(connection, [self._generation.id])

    def renew(self) -> None:
        """A new table holds no row that was removed, dead or alive."""
        self._let_go()
        self._publish_next(afresh=True)
        drop_unused(self._session.database, self._generation.id, seconds=_LONG_PATIENCE)
        self.publish()

    # --- checking ------------------------------------------------------------------------------------------

    def _differences(self, connection: Connection) -> str | None:
        change, snapshot = self._newest(connection, self._purged(connection))
        if snapshot is None:
            return None
        table, expected = self._table(snapshot.number), snapshot.segment.keys
        there = table.keys(connection)
        later = removals_after(connection, self._generation.id, change, 2**62)
        if len(np.setdiff1d(expected, there)) or len(np.setdiff1d(there, np.concatenate([expected, later]))):
            return "its chunks differ from the catalog's"
        for at in range(0, len(expected), CHECKED_ROWS):
            found = table.codes(connection, expected[at : at + CHECKED_ROWS])
            if table.count_altered(connection, found.keys, found.codes):
                return "its vectors differ from the catalog's codes"
        return None
