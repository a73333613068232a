"""Collections that a program holds open for others: each opened once, shared by its threads.

What opening needs is imported when the first is opened: a server that has just started answers before that.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.settings import Location
from indexing.errors import IndexingError, UnknownCollection
from stlib.util.forks import ThreadLock

if TYPE_CHECKING:
    from indexing import Collection

__all__ = ["LOOK_SECONDS", "OpenCollections"]


LOOK_SECONDS = 0.5
"""So long it is believed that a collection is still there, where looking asks a database that many share."""


@dataclass
class _Held:
    collection: Collection
    file: object  # the identity of a catalog that is this collection's own, else None
    looked: float


class OpenCollections:
    """The collections of one place, opened when they are asked for.

    Threads may share it. One that was deleted and made anew under its name is opened anew, in a database that
    collections share within half a second. Past `most` the one that was not asked for the longest is closed;
    whoever is searching it meanwhile ends in peace. Twenty of them hold some hundred megabytes of mapped
    files at most, and connections to twenty databases.
    """

    def __init__(self, location: Location, most: int = 20) -> None:
        self.location = location
        self._most = most
        self._lock = ThreadLock()
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def collection(self, name: str) -> Collection:
        """
        Raises:
            UnknownCollection: there is none of this name; the message lists those there are.
            StorageError: it cannot be read.
        """
        with self._lock:
            held = self._held.get(name)
        if held is not None and self._is_there(name, held):
            with self._lock:
                if name in self._held:
                    self._held.move_to_end(name)
            return held.collection
        return self._open(name, held)

    def _is_there(self, name: str, held: _Held) -> bool:
        """Whether what is held is what has this name now."""
        if held.file is not None:
            return held.file == self._file(name)
        now = time.monotonic()
        if now - held.looked < LOOK_SECONDS:
            return True
        try:
            _ = held.collection.own_vectors  # reads its row
        except UnknownCollection:
            return False
        held.looked = now
        return True

    def _file(self, name: str) -> object:
        from indexing.listing import collection_identity

        return None if self.location.db else collection_identity(name, **self.location.arguments())

    def _open(self, name: str, old: _Held | None) -> Collection:
        from indexing import Collection

        file = self._file(name)  # before: what is made anew meanwhile is opened again next time
        opened = _Held(Collection.open(name, **self.location.arguments()), file, time.monotonic())
        with self._lock:
            held = self._held.get(name)
            if held is not None and held is not old:  # another thread was faster
                given_up, opened = [opened], held
            else:
                given_up = [] if held is None else [held]
                self._held[name] = opened
                self._held.move_to_end(name)
                while len(self._held) > self._most:
                    given_up.append(self._held.popitem(last=False)[1])
        for one in given_up:
            one.collection.close()
        return opened.collection

    def count(self, name: str) -> int:
        """How many documents a collection has. One that is not held is opened for this alone, so that a look
        at many lets go of none that others ask.

        Raises:
            UnknownCollection, StorageError: as `collection`.
        """
        from indexing import Collection

        with self._lock:
            held = self._held.get(name)
        if held is not None and self._is_there(name, held):
            return held.collection.count()
        with Collection.open(name, **self.location.arguments()) as opened:
            return opened.count()

    def forget(self, name: str) -> None:
        """Lets go of a collection that is about to be deleted: open files would keep its room on the disk."""
        with self._lock:
            held = self._held.pop(name, None)
        if held is not None:
            held.collection.close()

    def warm(self, names: Iterable[str]) -> None:
        """Opens collections and asks them something, which loads their models; those that cannot be read
        say so when somebody asks.
        """
        for name in names:
            with suppress(IndexingError):
                self.collection(name).search("warm up", k=1)

    def close(self) -> None:
        with self._lock:
            held, self._held = self._held, OrderedDict()
        for one in held.values():
            one.collection.close()
