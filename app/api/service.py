"""What the requests of one process share: open collections, keys, the threads that search."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, TypeVar

from app.api.changes import Changes
from app.api.errors import Busy
from app.api.settings import ServiceSettings
from app.api.telemetry.telemetry import Telemetry
from app.facade.caller import Caller, require
from app.facade.keys import KeyCallers
from app.facade.models import LentModels
from app.facade.opened import OpenCollections
from app.settings import Location
from indexing import Collection
from indexing.errors import IndexingError
from indexing.listing import list_collections

__all__ = ["Service"]

T = TypeVar("T")

_MOST_WARM = 20
_FACET_SECONDS = 30.0  # counting takes a tenth of a second for a million documents
_MOST_FACETS = 50
_MOST_CHANGING = 16  # of the 40 threads of routes that are no coroutines
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.1, 5.0  # for a catalog that cannot be reached

logger = logging.getLogger(__name__)


class Service:
    """
    Attributes:
        location, settings: as it was started.
        keys: who comes with which key.
        ready_callbacks: called from a thread of their own when the service becomes ready.
        models: that may be asked for vectors and for a better order.
        telemetry: what is counted and traced.
        changing: held by routes in threads that change something.
        observers: called after each request with its scope, the status and the seconds it took.
    """

    def __init__(self, location: Location, settings: ServiceSettings) -> None:
        self.location = location
        self.settings = settings
        self.keys = KeyCallers(location)
        self.telemetry = Telemetry(location, settings.traces, settings.trace_share, settings.trace_texts)
        self.observers: list[Callable[[Any, int, float], None]] = [self.telemetry.observe]
        self.ready_callbacks: list[Callable[[], None]] = []
        self._opened = OpenCollections(location, most=max(_MOST_WARM, len(settings.warm)))
        self.models = LentModels(location, self.collection, settings.models, settings.rerankers)
        self._searching = ThreadPoolExecutor(settings.threads, "search")
        self._changes = Changes()
        self.changing = asyncio.Semaphore(_MOST_CHANGING)
        self._facets: dict[tuple[str, int], tuple[float, dict[str, Any]]] = {}
        self._waiting = 0  # changed by the loop alone
        self._loading: str | None = "collections"
        self._closing = False
        self._ended = threading.Event()

    def collection(self, name: str) -> Collection:
        """The open collection, which threads share. It may have to be opened first, so call it in a thread.

        Raises:
            UnknownCollection: there is none.
        """
        return self._opened.collection(name)

    def count(self, name: str) -> int:
        """How many documents a collection has; it becomes no open one by that."""
        return self._opened.count(name)

    def facets(self, caller: Caller, name: str, max_values: int = 100) -> dict[str, Any]:
        """The values of metadata fields with their counts, as they were within the last half minute.

        Raises:
            NotAllowed: the caller may not search this collection.
        """
        require(caller, "search", name)
        collection, now = self.collection(name), time.monotonic()
        key = (collection.uuid, max_values)
        held = self._facets.get(key)
        if held is None or held[0] < now:
            if len(self._facets) >= _MOST_FACETS:
                self._facets.clear()
            counted = {field: asdict(one) for field, one in collection.facets(max_values=max_values).items()}
            held = self._facets[key] = (now + _FACET_SECONDS, counted)
        return held[1]

    def forget(self, name: str) -> None:
        """Lets go of a collection that is about to be deleted."""
        self._opened.forget(name)

    async def change(self, name: str, change: Callable[[], T], *, patient: bool = True) -> T:
        """The result of `change`, called in a thread when it is its turn at the collection `name`, and called
        again for `write_seconds` while another process writes there, unless it is patient itself.

        Raises:
            LockedError: another process wrote for longer.
            Busy: too many changes of this collection wait already.
        """
        return await self._changes.run(name, change, self.settings.write_seconds if patient else 0.0)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of `function`, called in a thread of those that search, in the context of the caller.
        A caller that is cancelled goes on at once; the thread ends what it does.

        Raises:
            Busy: too many wait already.
        """
        if self._waiting >= self.settings.queue + self.settings.threads:
            raise Busy("more is asked at this moment than the service bears: try again in a second")
        self._waiting += 1
        context = contextvars.copy_context()
        future = self._searching.submit(context.run, function, *arguments)
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: _tell(loop, self._done))
        return await asyncio.wrap_future(future)

    def _done(self) -> None:
        self._waiting -= 1

    @property
    def loading(self) -> str | None:
        """What is being loaded before the service is ready; None when it is, or when it is ending."""
        return "ending" if self._closing else self._loading

    def start(self) -> None:
        """Begin to load what the first searches need."""
        self.telemetry.start()
        threading.Thread(target=self._warm, name="warm", daemon=True).start()

    def _warm(self) -> None:
        there = self._names()
        for name in self.settings.warm or there[:_MOST_WARM]:
            if self._closing:
                return
            self._loading = name
            self._warm_one(name)
        if self._closing:
            return
        self._loading = None
        for ready in self.ready_callbacks:
            ready()

    def _names(self) -> list[str]:
        """The collections, as soon as they can be listed: until then no search would be answered."""
        wait = _FIRST_WAIT_SECONDS
        while not self._closing:
            try:
                return list(list_collections(**self.location.arguments()).names)
            except IndexingError as error:
                logger.warning("collections cannot be listed: %s", error)
            except Exception:
                logger.exception("collections cannot be listed")
            self._ended.wait(wait)
            wait = min(2 * wait, _LONGEST_WAIT_SECONDS)
        return []

    def _warm_one(self, name: str) -> None:
        try:
            self.collection(name).search("warm up", k=1)
        except IndexingError as error:
            logger.warning("collection %s cannot be searched yet: %s", name, error)
        except Exception:
            logger.exception("collection %s failed", name)

    def close(self) -> None:
        """Waits for threads that search, and closes collections."""
        self.end()
        self._searching.shutdown(wait=True, cancel_futures=True)
        self._changes.close()
        self._opened.close()
        self.telemetry.close()

    def end(self) -> None:
        """From here on it is not ready; what is in flight goes on."""
        self._closing = True
        self._ended.set()


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)
