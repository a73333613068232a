"""The vector view in Milvus: a collection there for each generation, and how far it has followed beside it.

Rows are written first and the marker after them, so one who is killed in between leaves it behind: the rows
are written again then, which changes nothing. Whoever holds the catalog's lock of the view advances it, from
whatever host; all others read. One that is made anew takes the place of the older one when it has followed as
far. What was committed after the marker is scanned exactly, and what Milvus has lost is made of the catalog.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from sqlalchemy import Connection

from indexing import faults
from indexing.catalog.database import reading
from indexing.catalog.following import (
    ChunkBatch,
    chunk_keys_between,
    chunks_after,
    count_chunk_changes,
    removals_after,
)
from indexing.catalog.generations import DROPPING, GenerationInfo, read_generation
from indexing.catalog.locks import Lock
from indexing.catalog.reads import chunk_keys, decode_rows
from indexing.errors import (
    BadInput,
    LockedError,
    MilvusFailed,
    MilvusUnavailable,
    StorageError,
    UnknownCollection,
)
from indexing.milvus.client import Milvus
from indexing.milvus.marker import TIP, Followed, collection_name, number_of, prefix_of
from indexing.milvus.schema import Layout
from indexing.quantization import Codec
from indexing.session import Session
from indexing.vectors.milvus import MilvusCodes, MilvusIndex, RowsInMilvus
from indexing.vectors.table_state import has_tables
from indexing.vectors.vector_table import read_chunk_keys
from indexing.views.chunk_view import READ_ROWS, TAIL_ROWS
from indexing.views.milvus_leftovers import connect_or_say, drop_leftovers, keeps_local, milvus_lock
from indexing.views.milvus_reader import AWAY, BEHIND, AwayReader, LocalView, MilvusReader, stand_in
from indexing.views.milvus_state import State, is_foreign, same_vectors, state_of
from indexing.views.server_view import CHECKED_ROWS, ServerSnapshot, ServerView
from indexing.views.vector_reader import VectorReader

__all__ = ["MILVUS_ENGINE", "MilvusView"]

logger = logging.getLogger(__name__)

MILVUS_ENGINE = MilvusIndex.engine

CHECK_PATIENCE = 10.0
"""Seconds for which a check waits for one who brings rows to Milvus."""
_PAUSE = 0.2
FAR_ROWS = 4 * TAIL_ROWS
"""So many changes that are not in Milvus a search reads by itself, from the catalog, and no more."""


class _Deleted(StorageError):
    """The generation was, while its rows were brought up."""


class _FarBehind(MilvusUnavailable):
    """More is not there than a search should read, and hold, by itself."""


class MilvusView(ServerView):
    """Makes and follows the rows of one generation in Milvus.

    Every method but `reader`, `is_ahead` and `is_behind` raises `MilvusFailed` where there is none that can
    be used: a search by words goes on without.
    """

    engine = MilvusIndex

    def __init__(self, session: Session, generation: GenerationInfo, codec: Codec, local: LocalView) -> None:
        """`local`: a view of the same generation in files, which stands in where Milvus is away: kept for
        that where the settings say so, and used wherever there is one that is near the log.
        """
        self.what = f"Milvus view of generation {generation.id}"
        self._local = local
        self._name: str | None = None
        self._own: Followed | None = None
        self._foreign: Followed | None = None
        self._seen: tuple[State | None] | MilvusFailed | None = None
        self._lock: Lock | None = None
        super().__init__(session, generation, codec)

    def _milvus(self) -> tuple[Milvus, Layout]:
        """
        Raises:
            MilvusFailed: it cannot be asked, or not be given these vectors.
        """
        client = connect_or_say()
        is_lite = client.is_lite
        try:
            return client, Layout.of(self._codec, client.settings, is_lite=is_lite)
        except BadInput as error:
            raise MilvusUnavailable(
                f"Milvus at {client.address} cannot have these vectors: {error}"
            ) from error

    def _made_of(self, layout: Layout) -> str:
        """What rows are of: others are not these."""
        parts = (self._session.uuid, self._generation.fingerprint, self._codec.to_json(), layout.signature)
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    # --- reading -------------------------------------------------------------------------------------------

    def seq(self) -> int:
        state = self._state()
        return 0 if state is None else state.change

    def is_ahead(self) -> bool:
        with suppress(MilvusFailed):
            return any(not self._is_own(state) for state in self._states())
        return False

    def is_behind(self, *, by_much: bool) -> bool:
        if keeps_local() and self._local.is_behind(by_much=by_much):
            return True
        with suppress(MilvusFailed):
            return super().is_behind(by_much=by_much)
        return False

    @contextmanager
    def at_one_state(self) -> Iterator[None]:
        """Milvus is asked once, now, how far it has followed, whoever wants to know it in between; again
        after rows were brought there. Nobody waits for it twice, nor with a transaction open.
        """
        try:
            self._seen = (self._look(),)
        except MilvusFailed as error:
            self._seen = error
        try:
            yield
        finally:
            self._seen = None

    def _state(self) -> State | None:
        """Of the rows that serve."""
        if self._seen is None:
            return self._look()
        if isinstance(self._seen, MilvusFailed):
            raise self._seen
        return self._seen[0]

    def _look(self) -> State | None:
        """Of the rows that serve: of our own those that have followed farthest, and of these the newest."""
        client, layout = self._milvus()
        if self._name is not None:
            known = state_of(client, self._name, self._made_of(layout))
            if known is not None and self._is_own(known):
                return known
        states = [state for state in self._states() if self._is_own(state)]
        newest = max(states, key=lambda state: (state.change, state.number), default=None)
        self._name = None if newest is None else newest.name
        return newest

    def _states(self) -> list[State]:
        """Of everything that is there under the names of this generation."""
        client, layout = self._milvus()
        names = client.names(prefix_of(self._session.uuid, self._generation.id))
        states = [state_of(client, name, self._made_of(layout)) for name in names]
        return [state for state in states if state is not None]

    def _is_own(self, state: State) -> bool:
        """Whether these rows are of this very log, which is read after their marker; looked at once for each
        marker.
        """
        if state.followed == self._own:
            return True
        with reading(self._session.database) as connection:
            foreign = is_foreign(connection, self._generation.id, state)
        if not foreign:
            self._own = state.followed
        elif state.followed != self._foreign:
            self._foreign = state.followed
            logger.warning(
                "%s is of another state of the catalog than this one has ever been in: it is made anew."
                " Copies of one collection need databases of their own in Milvus (STLIB_MILVUS_DATABASE)",
                self.what,
            )
        return not foreign

    def _newest(self, connection: Connection, purged: int) -> tuple[int, ServerSnapshot | None]:
        """At the change up to which this transaction sees the log, if Milvus has followed farther."""
        state = self._state()
        generation = read_generation(connection, self._generation.id)
        if state is None or generation is None:
            return 0, None
        if not state.can_go_on(purged):
            return 0, None
        change = min(state.change, generation.last_change)
        return change, self._at(connection, state, change, purged)

    def _read_keys(self, connection: Connection, after: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        read = read_chunk_keys if has_tables(self._session.database) else chunk_keys_between
        return read(connection, self._generation.id, after, last)

    def _codes_at(self, state: Any, keys: np.ndarray) -> MilvusCodes:
        client, layout = self._milvus()
        rows = RowsInMilvus(client, state.name, layout, state.written)
        return MilvusCodes(self._session.database, rows, self._codec, keys)

    def _reader_of(self, snapshot: ServerSnapshot | None, change: int) -> VectorReader:
        made = MilvusReader.of(self._codec, snapshot, change)
        assert isinstance(made, MilvusReader)
        made.local = self._read_local
        return made

    def reader(self, connection: Connection) -> VectorReader:
        """Where Milvus is away, or far behind, that of files of this machine, or one that says so when it is
        asked: other legs need none.
        """
        try:
            self._require_near(connection)
            return super().reader(connection)
        except MilvusFailed as error:
            if self._local.is_behind(by_much=True):
                return AwayReader(self._codec, error)
            note = BEHIND if isinstance(error, _FarBehind) else AWAY
            return stand_in(self._local.reader(connection), note)

    def _require_near(self, connection: Connection) -> None:
        """
        Raises:
            _FarBehind: the rows that serve are.
        """
        state = self._state()
        change = state.change if state is not None and state.can_go_on(self._purged(connection)) else 0
        if count_chunk_changes(connection, self._generation.id, change, FAR_ROWS + 1) > FAR_ROWS:
            raise _FarBehind(
                f"rows are being brought to Milvus: more than {FAR_ROWS:,} changes are not there yet;"
                " ask again later"
            )

    def _read_local(self) -> VectorReader | None:
        if self._local.is_behind(by_much=True):
            return None
        with reading(self._session.database) as connection:
            return self._local.reader(connection)

    # --- advancing -----------------------------------------------------------------------------------------

    def publish(self) -> None:
        self._publish()

    def publish_some(self) -> None:
        """The same, but no more rows than are read from the log at once: a search waits for it."""
        self._publish(briefly=True)

    def _publish(self, *, briefly: bool = False) -> None:
        if keeps_local():
            self._local.publish()
        with self._writing():
            drop_leftovers(self._session.place, self._session, self._generation.id)
            self._bring_up(briefly=briefly)

    def renew(self) -> None:
        """Another collection in Milvus, without the rows that were removed, in place of the older one."""
        self._let_go()
        if keeps_local():
            self._local.renew()
        with self._writing():
            self._bring_up(self._make())

    def discard(self) -> None:
        self._let_go()
        self._local.discard()
        with self._writing():
            self._drop_all_but(None)

    @contextmanager
    def _writing(self, *, patience: float = 0.0) -> Iterator[None]:
        """While nobody else changes these rows; one who does is waited for so many seconds."""
        lock, by = milvus_lock(self._session, self._generation.id), time.monotonic() + patience
        while True:
            try:
                lock.acquire()
                break
            except LockedError:
                if time.monotonic() >= by:
                    raise
                time.sleep(_PAUSE)
        self._lock, self._seen = lock, None
        try:
            yield
        finally:
            self._lock = None
            lock.release()

    def _require_lock(self) -> None:
        """Before anything in Milvus is changed: it knows nothing of locks, and would take what comes from one
        whose own was lost.
        """
        assert self._lock is not None
        self._lock.require_held()

    def _bring_up(self, state: State | None = None, *, briefly: bool = False) -> None:
        """Follows the log to its end, with rows that were just begun if given; nothing else is left then.
        `briefly`: a part of the way.
        """
        if state is None and (state := self._usable()) is None:
            self._drop_all_but(None)
            state = self._make()
        first, is_last = state.change, False
        while not is_last:
            state, is_last = self._advance(state)
            if briefly:
                break
        if state.change > first:
            self._milvus()[0].settle(state.name)
        if is_last:
            self._drop_all_but(state.name)
        self._name = state.name

    def _usable(self) -> State | None:
        """What can be brought up."""
        state = self._state()
        if state is None:
            return None
        with reading(self._session.database) as connection:
            purged = self._purged(connection)
        return state if state.can_go_on(purged) else None

    def _make(self) -> State:
        """Another collection in Milvus, with nothing in it but its marker."""
        client, layout = self._milvus()
        with self._session.looking() as (connection, _):
            self._require_generation(connection)
            purged = self._purged(connection)
        names = client.names(prefix_of(self._session.uuid, self._generation.id))
        self._require_lock()
        number = 1 + max((number_of(name) for name in names), default=0)
        name = collection_name(self._session.uuid, self._generation.id, number)
        client.create(name, layout)
        faults.point("milvus.made")
        state = State(name, Followed(self._made_of(layout), 0, purged))
        client.write_marker(name, layout, state.followed.to_json())
        return state

    def _advance(self, state: State) -> tuple[State, bool]:
        """Brings as many changes as are read at once into Milvus; whether that was all."""
        client, layout = self._milvus()
        try:
            batch, removed, can = self._read_changes(state)
        except (_Deleted, UnknownCollection):
            client.drop(state.name)  # nobody else will
            raise
        if not can:  # what was removed meanwhile is not said any more
            self._drop_all_but(None)
            return self._make(), False
        if batch.last > state.change:
            self._require_lock()
            client.delete(state.name, removed)
            faults.point("milvus.removed")
            codes = decode_rows(b"".join(batch.codes), len(batch.keys), self._codec)
            client.upsert(state.name, layout, batch.keys, codes)
            faults.point("milvus.written")
            rows = zip(batch.keys[-TIP:].tolist(), batch.codes[-TIP:], strict=True)
            self._require_lock()
            followed = state.followed.advanced(batch.last, rows, removed.tolist())
            client.write_marker(state.name, layout, followed.to_json(), since=state.written)
            faults.point("milvus.marked")
            state = state._replace(followed=followed)
        return state, batch.is_last

    def _read_changes(self, state: State) -> tuple[ChunkBatch, np.ndarray, bool]:
        """The next changes, the keys that they remove, and whether `state` can go on by them."""
        with self._session.looking() as (connection, _):
            self._require_generation(connection)
            purged = self._purged(connection)
            batch = chunks_after(connection, self._generation.id, state.change, READ_ROWS)
            removed = removals_after(connection, self._generation.id, state.change, batch.last)
        return batch, removed, state.can_go_on(purged)

    def _require_generation(self, connection: Connection) -> None:
        generation = read_generation(connection, self._generation.id)
        if generation is None or generation.state == DROPPING:
            raise _Deleted(f"generation {self._generation.id} was deleted meanwhile")

    def _drop_all_but(self, kept: str | None) -> None:
        client, _ = self._milvus()
        for name in client.names(prefix_of(self._session.uuid, self._generation.id)):
            if name != kept:
                self._require_lock()
                client.drop(name)
                faults.point("milvus.dropped")
        self._name = kept

    # --- checking ------------------------------------------------------------------------------------------

    def examine(self) -> list[str]:
        return [*super().examine(), *self._local.examine()]

    def check(self) -> list[str]:
        """
        Raises:
            LockedError: another process brings rows to Milvus, for longer than is waited here: what is read
                of it for minutes could not be compared with one moment of the catalog.
        """
        of_files = self._local.check() if keeps_local() else []
        with self._writing(patience=CHECK_PATIENCE):
            problem = self._find_difference()
            if problem is None:
                return of_files
            self._let_go()
            self._local.discard()
            self._drop_all_but(None)
        return [*of_files, f"{self.what}: {problem}"]

    def _let_go(self) -> None:
        super()._let_go()
        self._name = self._seen = None

    def _differences(self, connection: Connection) -> str | None:
        change, snapshot = self._newest(connection, self._purged(connection))
        if snapshot is None:
            return None
        client, layout = self._milvus()
        name = collection_name(self._session.uuid, self._generation.id, snapshot.number)
        expected, there = snapshot.segment.keys, client.all_keys(name)
        # Rows of one who was killed before he wrote the marker, and those to be removed next, may be there.
        later = removals_after(connection, self._generation.id, change, 2**62)
        known = np.concatenate([chunk_keys(connection, self._generation.id), later])
        if len(np.setdiff1d(expected, there)) or len(np.setdiff1d(there, known)):
            return "its chunks differ from the catalog's"
        for at in range(0, len(expected), CHECKED_ROWS):
            keys = expected[at : at + CHECKED_ROWS]
            if not same_vectors(connection, client, name, layout, keys):
                return "its vectors differ from the catalog's codes"
        return None
