"""Searches and clicks on their way to the database, written by a thread beside the search.

A search waits for none of it: what it adds goes into a queue, which a thread writes out after a second, or as
soon as it is long. A queue that cannot be written loses its oldest entries, and counts them. The thread is a
daemon, and the end of the process waits for it a little.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from pathlib import Path

from app.feedback.erasing import forget_old
from app.feedback.hashes import hide
from app.feedback.model import Event, Impression
from app.feedback.place import FeedbackPlace
from app.feedback.table import WRITING, add_rows, close_databases, write_feedback
from app.settings import log_settings
from indexing.errors import IndexingError, LockedError
from indexing.storage.paths import Address
from indexing.storage.private import can_write
from stlib.util.forks import ThreadLock

__all__ = ["FeedbackLog", "feedback_log"]

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0  # what a kill loses at most, of searches; sayings never wait
BATCH = 200
MOST_QUEUED = 2_000  # some ten megabytes
EXIT_SECONDS = 2.0
FORGET_SECONDS = 3600.0


class FeedbackLog:
    """The queue of one database. Threads may share it; a forked child begins with an empty one, as its parent
    writes what was queued before.

    Attributes:
        dropped: how many entries this process lost because they could not be written.
    """

    def __init__(self, place: FeedbackPlace) -> None:
        self.place = place
        self.dropped = 0
        self._lock = ThreadLock()
        self._forgot = -FORGET_SECONDS
        self._warned = False
        self._begin()

    def _begin(self) -> None:
        self._queue: deque[Impression | Event] = deque()
        self._thread: threading.Thread | None = None
        self._filled = threading.Event()  # something is queued
        self._hurry = threading.Event()  # and shall be written at once
        self._idle = threading.Event()  # nothing is queued, nothing is being written
        self._idle.set()

    def add(self, item: Impression | Event) -> None:
        """Queues `item` as the settings want it kept, if they do.

        Raises:
            BadInput: a setting is none.
        """
        settings = log_settings()
        if settings.mode == "off":
            return
        item = hide(item) if settings.mode == "hashes" else item
        with self._lock:
            self._queue.append(item)
            if len(self._queue) > MOST_QUEUED:
                self._queue.popleft()
                self.dropped += 1
            self._idle.clear()
            full = len(self._queue) >= BATCH
            self._ensure_thread()
        self._filled.set()
        if full:
            self._hurry.set()

    def flush(self, within: float = EXIT_SECONDS) -> bool:
        """Waits until what is queued is written; False if that takes longer than `within` seconds."""
        if self._idle.is_set():
            return True
        self._hurry.set()
        return self._idle.wait(within)

    def _ensure_thread(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._write_always, name="stlib feedback", daemon=True)
            self._thread.start()

    def _write_always(self) -> None:
        while True:
            self._filled.wait()
            self._hurry.wait(WAIT_SECONDS)
            self._hurry.clear()
            self._filled.clear()
            self._write_queued()

    def _write_queued(self) -> None:
        """Writes everything that is queued. What cannot be written now, as somebody else is writing, stays;
        what never can is dropped.
        """
        while True:
            with self._lock:
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH))]
                if not batch:
                    self._idle.set()
                    return
            try:
                self._write(batch)
                self._warned = False
            except LockedError:
                with self._lock:
                    self._queue.extendleft(reversed(batch))
                self._filled.set()
                return
            except (IndexingError, OSError) as error:
                self.dropped += len(batch)
                self._warn(error)

    def _write(self, batch: list[Impression | Event]) -> None:
        settings = log_settings()
        with write_feedback(self.place) as connection:
            add_rows(connection, [item for item in batch if isinstance(item, Impression)])
            add_rows(connection, [item for item in batch if isinstance(item, Event)])
            if settings.days is not None and time.monotonic() - self._forgot > FORGET_SECONDS:
                forget_old(connection, settings.days)
                self._forgot = time.monotonic()

    def _may_write(self) -> bool:
        path = self.place.database
        return not isinstance(path, Path) or can_write(path)

    def _warn(self, error: Exception) -> None:
        """Once, until it works again. A home that is only read is no failure: its searches are not kept."""
        if not self._warned and self._may_write():
            logger.warning("searches are not recorded: %s", error)
        self._warned = True


_logs: dict[Address, FeedbackLog] = {}
_making = ThreadLock()


def feedback_log(place: FeedbackPlace) -> FeedbackLog:
    """The log of this process for a database."""
    with _making:
        if place.database not in _logs:
            _logs[place.database] = FeedbackLog(place)
        return _logs[place.database]


def _end() -> None:
    deadline = time.monotonic() + EXIT_SECONDS
    for log in list(_logs.values()):
        log.flush(max(0.0, deadline - time.monotonic()))
    close_databases()


def _before_fork() -> None:
    WRITING.__enter__()


def _after_fork() -> None:
    WRITING.__exit__(None, None, None)


def _after_fork_in_child() -> None:
    WRITING.__exit__(None, None, None)
    for log in _logs.values():
        log._begin()
        log.dropped = 0


atexit.register(_end)
if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    # Hooks before a fork run from the last to the first: no transaction of ours is open when the connections
    # are closed (`indexing.catalog.forked`).
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
