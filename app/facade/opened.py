"""Collections that a program holds open for others: each opened once, shared by its threads.

What opening needs is imported when the first is opened: a server that has just started answers before that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from app.settings import Location
from indexing.errors import IndexingError

if TYPE_CHECKING:
    from indexing import Collection

__all__ = ["OpenCollections"]


class OpenCollections:
    """The collections of one place, opened when they are asked for.

    Threads may share it. One that was deleted and made anew under its name is opened anew. Past `most`
    the one that was not asked for the longest is closed; whoever is searching it meanwhile ends in peace.
    Twenty of them hold some hundred megabytes of mapped files at most, and connections to twenty databases.
    """

    def __init__(self, location: Location, most: int = 20) -> None:
        self.location = location
        self._most = most
        self._lock = Lock()
        self._held: OrderedDict[str, tuple[object, Collection]] = OrderedDict()

    def collection(self, name: str) -> Collection:
        """
        Raises:
            UnknownCollection: there is none of this name; the message lists those there are.
            StorageError: it cannot be read.
        """
        from indexing import Collection
        from indexing.listing import collection_identity

        identity = collection_identity(name, **self.location.arguments())
        with self._lock:
            held = self._held.get(name)
            if held is not None and held[0] == identity:
                self._held.move_to_end(name)
                return held[1]
        opened = Collection.open(name, **self.location.arguments())
        with self._lock:
            held = self._held.get(name)
            if held is not None and held[0] == identity:  # another thread was faster
                opened.close()
                return held[1]
            self._held[name] = (identity, opened)
            self._held.move_to_end(name)
            given_up = [] if held is None else [held[1]]
            while len(self._held) > self._most:
                given_up.append(self._held.popitem(last=False)[1][1])
        for one in given_up:
            one.close()
        return opened

    def forget(self, name: str) -> None:
        """Lets go of a collection that is about to be deleted: open files would keep its room on the disk."""
        with self._lock:
            held = self._held.pop(name, None)
        if held is not None:
            held[1].close()

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
        for _, collection in held.values():
            collection.close()
