"""What must be put in order around a fork: connections, locks of files and locks of threads.

A child has the parent's memory but none of its threads, and shares its open files. Whoever holds such things
registers here and is told before a fork and, in the child, after it. Processes that are started (`spawn`,
`subprocess`) share nothing and need none of this.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forking", "watch"]

logger = logging.getLogger(__name__)


class Forking(Protocol):
    """Something that does not survive a fork as it is."""

    def before_fork(self) -> None:
        """Called in the forking thread, just before the fork. Others are told even if it raises."""

    def after_fork(self, in_child: bool) -> None:
        """Called on both sides. In the child no other thread exists, and locks they held stay locked."""


_watched: WeakSet[Forking] = WeakSet()
# Held while `_watched` changes, and from before a fork until after it: both see the same items.
_changing = threading.RLock()
_told: list[Forking] = []


def watch(item: Forking) -> None:
    """Tell `item` of forks from now on, for as long as it lives."""
    with _changing:
        _watched.add(item)


def _before() -> None:
    _changing.acquire()
    _told[:] = _watched
    for item in _told:
        _isolate(item.before_fork)


def _after(in_child: bool) -> None:
    try:
        for item in _told:
            _isolate(partial(item.after_fork, in_child))
        _told.clear()
    finally:
        _changing.release()


def _isolate(tell: Callable[[], None]) -> None:
    """One that fails must not keep the others from being told."""
    try:
        tell()
    except BaseException as error:  # noqa: BLE001 -- nothing stops a fork: it would be dropped
        logger.error("while this process was forked: %r", error)


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(in_child=False),
        after_in_child=lambda: _after(in_child=True),
    )
