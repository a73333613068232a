"""`Session`: what every room of a collection works with: its database, its files, and what is served now."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine

from indexing.catalog.collections import CollectionState, read_state
from indexing.catalog.database import reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.generations import GenerationInfo, read_generation
from indexing.catalog.loads import has_writers, revoke_loads
from indexing.catalog.locks import Lock, writer_lock
from indexing.catalog.servings import ServingInfo, read_serving, servings_of
from indexing.errors import BadInput, StorageError, UnknownCollection
from indexing.quantization import Codec
from indexing.served import check_served
from indexing.storage import forks
from indexing.storage.paths import Place, ServerDatabase
from indexing.vectors.table_state import usable_engine

__all__ = ["Live", "Session"]


@dataclass(frozen=True)
class Live:
    """What is searched at one moment. `codec` is None as long as nothing was ever embedded."""

    state: CollectionState
    serving: ServingInfo
    generation: GenerationInfo
    codec: Codec | None


class Session:
    """One open collection. Owned by `Collection`, handed down to whoever reads, writes or watches it.

    Attributes:
        database: connections to the catalog.
        place: its files.
        id, uuid: of its row; a row of another uuid under this id is another collection.
        lock: held while the views are opened or published; taken after `writing`.
        writing: held for as long as this process adds or deletes documents.
    """

    def __init__(self, database: Engine, place: Place, state: CollectionState) -> None:
        self.database = database
        self.place = place
        self.id = state.id
        self.uuid = state.uuid
        self.name = state.name
        self.lock = threading.RLock()
        self.writing = threading.RLock()
        self._served: tuple[ServingInfo, GenerationInfo, Codec | None] | None = None
        forks.watch(self)

    def before_fork(self) -> None:
        """Nothing: threads of the parent keep what they hold."""

    def after_fork(self, in_child: bool) -> None:
        """The threads that hold these locks are not in the child."""
        if in_child:
            self.lock = threading.RLock()
            self.writing = threading.RLock()

    def live(self, serving: int | None = None) -> Live:
        """What is live now: one read of a row; serving and generation are read again when they changed.
        With `serving`, as if that one were live.

        Raises:
            UnknownCollection: the collection was deleted.
            BadInput: it has no such serving.
        """
        with self.looking() as (connection, state):
            if serving is None or serving == state.live_serving:
                return self.live_in(connection, state)
            known = [one.id for one in servings_of(connection, self.id)]
            if serving in known:
                return Live(state, *self._read(connection, serving))
        numbers = ", ".join(map(str, known))
        raise BadInput(f"collection {self.name!r} has no serving {serving!r}; there are: {numbers}")

    def live_in(self, connection: Connection, state: CollectionState) -> Live:
        """What is live in the transaction of `connection`."""
        served = self._served
        if served is None or served[0].id != state.live_serving or served[2] is None:
            served = self._served = self._read(connection, state.live_serving)
        return Live(state, *served)

    def read_live(self, connection: Connection, state: CollectionState) -> Live:
        """The same, read afresh: how far a generation has followed, too."""
        return Live(state, *self._read(connection, state.live_serving))

    def _read(
        self, connection: Connection, serving_id: int
    ) -> tuple[ServingInfo, GenerationInfo, Codec | None]:
        serving = read_serving(connection, serving_id)
        generation = None if serving is None else read_generation(connection, serving.generation_id)
        if serving is None or generation is None:
            raise StorageError(
                f"{self.place.catalog} is damaged: what is served (serving {serving_id}) is missing from it;"
                " restore it from a backup"
            )
        try:
            codec = check_served(serving, generation)
            engine = usable_engine(serving.engine, self.database)
            return replace(serving, engine=engine), generation, codec
        except BadInput as error:
            raise StorageError(
                f"{self.place.catalog} is damaged: {error}; restore it from a backup"
            ) from error

    @contextmanager
    def looking(self) -> Iterator[tuple[Connection, CollectionState]]:
        """One transaction, and the collection's row in it. Whatever is compared is read in the same one:
        between two, another process may commit a batch or delete the collection.
        """
        catalog = self.place.catalog
        if not isinstance(catalog, ServerDatabase) and not dialect_of(catalog).exists(catalog):
            raise self.deleted()  # SQLite would make an empty file
        with reading(self.database) as connection:
            yield connection, self.row(connection)

    def row(self, connection: Connection) -> CollectionState:
        """The collection's row. Raises UnknownCollection if it is gone."""
        state = read_state(connection, self.id)
        if state is None or state.uuid != self.uuid:  # the database uses numbers of deleted rows again
            raise self.deleted()
        return state

    def deleted(self) -> UnknownCollection:
        """The error for a collection that is no more."""
        return UnknownCollection(f"collection {self.name!r} was deleted meanwhile")

    @contextmanager
    def writing_documents(self) -> Iterator[None]:
        """Held by whoever adds or deletes documents, in this process and in any other.

        Raises:
            LockedError: another process holds it.
            UnknownCollection: the collection was deleted.
        """
        self.live()
        with self.writing, documents_lock(self.database, self.place):
            self._revoke_loads()
            yield

    def _revoke_loads(self) -> None:
        """Processes that write for a bulk load do so under the lock of who started it: that one is gone."""
        with self.looking() as (connection, _):  # deleting takes the lock too: from here on it stays
            left = has_writers(connection, self.id)
        if left:
            with writing(self.database) as connection:
                revoke_loads(connection, self.id, self.row(connection).last_seq)


def documents_lock(database: Engine | None, place: Place) -> Lock:
    """Held by whoever adds or deletes documents, or makes or deletes the collection."""
    return writer_lock(database, place, "documents", f"collection {place.name!r}")
