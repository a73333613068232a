"""The vector view in Milvus: a collection there for each generation, and how far it has followed beside it.

Rows are written first and the marker after them, so one who is killed in between leaves it behind: the rows
are written again then, which changes nothing. Whoever holds the catalog's lock of the view advances it, from
whatever host; all others read. One that is made anew takes the place of the older one when it has followed as
far. What was committed after the marker is scanned exactly, and what Milvus has lost is made of the catalog.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from sqlalchemy import Connection

from indexing import faults
from indexing.catalog.database import reading
from indexing.catalog.following import ChunkBatch, chunk_keys_between, chunks_after, removals_after
from indexing.catalog.generations import DROPPING, GenerationInfo, read_generation
from indexing.catalog.reads import chunk_keys, codes_of_chunks, decode_rows
from indexing.errors import CorruptView, MilvusUnavailable, StorageError
from indexing.milvus.client import Milvus
from indexing.milvus.marker import TIP, Followed, collection_name, digest_of, number_of, prefix_of
from indexing.milvus.schema import Layout
from indexing.quantization import Codec
from indexing.session import Session
from indexing.vectors.milvus import MilvusCodes, MilvusIndex, RowsInMilvus
from indexing.views.base import can_go_on
from indexing.views.chunk_view import READ_ROWS
from indexing.views.milvus_leftovers import connect_or_say, drop_leftovers, milvus_lock
from indexing.views.milvus_reader import AwayReader, MilvusReader
from indexing.views.server_view import CHECKED_ROWS, ServerSnapshot, ServerView, State
from indexing.views.vector_reader import VectorReader

__all__ = ["MILVUS_ENGINE", "MilvusView"]

logger = logging.getLogger(__name__)

MILVUS_ENGINE = MilvusIndex.engine


class _State(NamedTuple):
    """The rows of the collection `name` in Milvus have `followed` the log; they were `written` at this moment
    of Milvus' clock.
    """

    name: str
    followed: Followed
    written: int = 0

    @property
    def number(self) -> int:
        return number_of(self.name)

    @property
    def change(self) -> int:
        return self.followed.change

    def can_go_on(self, purged: int) -> bool:
        return can_go_on(self.change, {"purged": self.followed.purged}, purged)


class MilvusView(ServerView):
    """Makes and follows the rows of one generation in Milvus.

    Every method but `reader`, `is_ahead` and `is_behind` raises `MilvusUnavailable` where there is none: a
    search by words goes on without.
    """

    engine = MilvusIndex

    def __init__(self, session: Session, generation: GenerationInfo, codec: Codec) -> None:
        self.what = f"Milvus view of generation {generation.id}"
        self._name: str | None = None
        super().__init__(session, generation, codec)

    def _milvus(self) -> tuple[Milvus, Layout]:
        client = connect_or_say()
        return client, Layout.of(self._codec, client.settings)

    def _made_of(self, layout: Layout) -> str:
        """What rows are of: others are not these."""
        parts = (self._session.uuid, self._generation.fingerprint, self._codec.to_json(), layout.signature)
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()

    # --- reading -------------------------------------------------------------------------------------------

    def seq(self) -> int:
        state = self._state()
        return 0 if state is None else state.change

    def is_ahead(self) -> bool:
        with suppress(MilvusUnavailable):
            state = self._state()  # looked up before the log, which grows
            with reading(self._session.database) as connection:
                return state is not None and self._is_foreign(connection, state)
        return False

    def is_behind(self, *, by_much: bool) -> bool:
        with suppress(MilvusUnavailable):
            return super().is_behind(by_much=by_much)
        return False

    def _state(self) -> _State | None:
        """Of the rows that serve: those that have followed farthest, and of these the newest."""
        client, layout = self._milvus()
        made_of = self._made_of(layout)
        if self._name is not None and (state := _state_of(client, self._name, made_of)) is not None:
            return state
        names = client.names(prefix_of(self._session.uuid, self._generation.id))
        states = [state for name in names if (state := _state_of(client, name, made_of)) is not None]
        newest = max(states, key=lambda state: (state.change, state.number), default=None)
        self._name = None if newest is None else newest.name
        return newest

    def _is_foreign(self, connection: Connection, state: _State) -> bool:
        """Whether these rows are of another log than this: one that the catalog had before it was replaced by
        an older copy, or that of a copy which has the same Milvus.
        """
        generation = read_generation(connection, self._generation.id)
        if generation is None:
            return False
        if state.change > generation.last_change:
            return True
        tip = state.followed.tip
        found = codes_of_chunks(connection, tip, "")
        gone = set(removals_after(connection, generation.id, state.change, 2**62).tolist())
        known = {key: digest_of(code) for key, code in found.items()}
        return any(known.get(key) != digest for key, digest in tip.items() if key not in gone)

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
        return chunk_keys_between(connection, self._generation.id, after, last)

    def _codes_at(self, state: State, keys: np.ndarray, doc_keys: np.ndarray) -> MilvusCodes:
        assert isinstance(state, _State)
        client, layout = self._milvus()
        rows = RowsInMilvus(client, state.name, layout, state.written)
        return MilvusCodes(self._session.database, rows, self._codec, keys, doc_keys)

    def _reader_of(self, snapshot: ServerSnapshot | None, change: int) -> VectorReader:
        return MilvusReader.of(self._codec, snapshot, change)

    def reader(self, connection: Connection) -> VectorReader:
        """One that says so when it is asked where Milvus is away: other legs need none."""
        try:
            return super().reader(connection)
        except MilvusUnavailable as error:
            return AwayReader(self._codec, error)

    # --- advancing -----------------------------------------------------------------------------------------

    def publish(self) -> None:
        with milvus_lock(self._session, self._generation.id):
            drop_leftovers(self._session.place)
            self._bring_up()

    def renew(self) -> None:
        """Another collection in Milvus, without the rows that were removed, in place of the older one."""
        self._let_go()
        with milvus_lock(self._session, self._generation.id):
            self._bring_up(self._make())

    def discard(self) -> None:
        self._let_go()
        with milvus_lock(self._session, self._generation.id):
            self._drop_all_but(None)

    def _bring_up(self, state: _State | None = None) -> None:
        """Follows the log to its end, with rows that were just begun if given; nothing else is left then."""
        if state is None and (state := self._usable()) is None:
            self._drop_all_but(None)
            state = self._make()
        is_last = False
        while not is_last:
            state, is_last = self._advance(state)
        self._drop_all_but(state.name)
        self._name = state.name

    def _usable(self) -> _State | None:
        """What can be brought up."""
        state = self._state()
        if state is None:
            return None
        with reading(self._session.database) as connection:
            purged = self._purged(connection)
            if self._is_foreign(connection, state):
                logger.warning(
                    "%s is of another state of the catalog than this one has ever been in: it is made anew."
                    " Copies of one collection need databases of their own in Milvus (STLIB_MILVUS_DATABASE)",
                    self.what,
                )
                return None
        return state if state.can_go_on(purged) else None

    def _make(self) -> _State:
        """Another collection in Milvus, with nothing in it but its marker."""
        client, layout = self._milvus()
        with reading(self._session.database) as connection:
            self._require_generation(connection)
            purged = self._purged(connection)
        names = client.names(prefix_of(self._session.uuid, self._generation.id))
        number = 1 + max((number_of(name) for name in names), default=0)
        name = collection_name(self._session.uuid, self._generation.id, number)
        client.create(name, layout)
        faults.point("milvus.made")
        state = _State(name, Followed(self._made_of(layout), 0, purged))
        client.write_marker(name, layout, state.followed.to_json())
        return state

    def _advance(self, state: _State) -> tuple[_State, bool]:
        """Brings as many changes as are read at once into Milvus; whether that was all."""
        client, layout = self._milvus()
        try:
            batch, removed, can = self._read_changes(state)
        except StorageError:
            client.drop(state.name)  # nobody else will, once the generation is gone
            raise
        if not can:  # what was removed meanwhile is not said any more
            self._drop_all_but(None)
            return self._make(), False
        if batch.last > state.change:
            client.delete(state.name, removed)
            faults.point("milvus.removed")
            codes = decode_rows(b"".join(batch.codes), len(batch.keys), self._codec)
            client.upsert(state.name, layout, batch.keys, batch.document_keys, codes)
            faults.point("milvus.written")
            rows = zip(batch.keys[-TIP:].tolist(), batch.codes[-TIP:], strict=True)
            followed = state.followed.advanced(batch.last, rows, removed.tolist())
            client.write_marker(state.name, layout, followed.to_json(), since=state.written)
            faults.point("milvus.marked")
            state = state._replace(followed=followed)
        return state, batch.is_last

    def _read_changes(self, state: _State) -> tuple[ChunkBatch, np.ndarray, bool]:
        """The next changes, the keys that they remove, and whether `state` can go on by them."""
        with reading(self._session.database) as connection:
            self._require_generation(connection)
            purged = self._purged(connection)
            batch = chunks_after(connection, self._generation.id, state.change, READ_ROWS)
            removed = removals_after(connection, self._generation.id, state.change, batch.last)
        return batch, removed, state.can_go_on(purged)

    def _require_generation(self, connection: Connection) -> None:
        generation = read_generation(connection, self._generation.id)
        if generation is None or generation.state == DROPPING:
            raise StorageError(f"generation {self._generation.id} was deleted meanwhile")

    def _drop_all_but(self, kept: str | None) -> None:
        client, _ = self._milvus()
        for name in client.names(prefix_of(self._session.uuid, self._generation.id)):
            if name != kept:
                client.drop(name)
                faults.point("milvus.dropped")
        self._name = kept

    # --- checking ------------------------------------------------------------------------------------------

    def _let_go(self) -> None:
        super()._let_go()
        self._name = None

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
            if not self._same_vectors(connection, client, name, layout, keys):
                return "its vectors differ from the catalog's codes"
        return None

    def _same_vectors(
        self, connection: Connection, client: Milvus, name: str, layout: Layout, keys: np.ndarray
    ) -> bool:
        codes = codes_of_chunks(connection, keys.tolist(), "")
        wanted = decode_rows(b"".join(codes.values()), len(codes), self._codec)
        found, vectors = client.vectors(name, layout, keys)
        order = np.argsort(np.fromiter(codes, np.int64, len(codes)))
        theirs = np.argsort(found)
        return np.array_equal(layout.values(wanted)[order], vectors[theirs])


def _state_of(client: Milvus, name: str, made_of: str) -> _State | None:
    """None where the collection is gone, half made, or of something else."""
    with suppress(CorruptView):
        marker = client.read_marker(name)
        followed = None if marker is None else Followed.from_json(marker.text)
        if marker is not None and followed is not None and followed.made_of == made_of:
            return _State(name, followed, marker.written)
    return None
