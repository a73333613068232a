"""Changes of collections, one after the other for each. Who waits for another process keeps no thread."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.api.errors import Busy
from app.api.exchange import begin_change
from indexing.errors import LockedError

__all__ = ["Changes"]

T = TypeVar("T")

_THREADS = 8  # to different collections
_MOST_WAITING = 64  # for one collection, by one process
_LOOK_SECONDS = 0.02


class _Queue:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.length = 0  # with the one whose turn it is


class Changes:
    """Used by the loop alone."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "write")
        self._queues: dict[str, _Queue] = {}

    async def run(self, name: str, change: Callable[[], T], patience: float = 0.0) -> T:
        """The result of `change`, called in a thread when it is its turn at the collection `name`, and again
        while another process writes there.

        Raises:
            LockedError: another process wrote, `patience` seconds after this was called still.
            Busy: too many wait already.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        queue = self._queues.setdefault(name, _Queue())
        if queue.length >= _MOST_WAITING:
            raise Busy("too many changes wait for this collection: try again in a second")
        queue.length += 1
        try:
            async with queue.turn:
                while True:
                    try:
                        return await self._in_thread(change)
                    except LockedError:
                        if loop.time() >= deadline:
                            raise
                    await asyncio.sleep(_LOOK_SECONDS)
        finally:
            queue.length -= 1
            if not queue.length:
                self._queues.pop(name, None)

    async def _in_thread(self, change: Callable[[], T]) -> T:
        context = contextvars.copy_context()
        return await asyncio.wrap_future(self._threads.submit(context.run, _begin, change))

    def close(self) -> None:
        """Waits for what has begun."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _begin(change: Callable[[], T]) -> T:
    if not begin_change():
        raise Busy("it is too late for this change, and it was not begun: try again")  # nobody hears it
    return change()
