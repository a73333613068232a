"""Locks of threads, and values computed once, that a forked process does not find taken for ever.

A child has the parent's memory but none of its threads: what another thread held at that moment is never
given back there.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

__all__ = ["ThreadLock", "cached_property"]

_locks: WeakSet[ThreadLock] = WeakSet()


class ThreadLock:
    """For ``with``: one thread at a time, which may enter it again.

    In a forked child it is free, unless the thread that forked is inside it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._holder: int | None = None
        self._depth = 0
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._holder = threading.get_ident()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._holder = None
        self._lock.release()

    def renew(self) -> None:
        """Called in the child, where the forking thread is the only one."""
        self._lock = threading.RLock()
        self._depth = self._depth if self._holder == threading.get_ident() else 0
        for _ in range(self._depth):
            self._lock.acquire()


if TYPE_CHECKING or sys.version_info >= (3, 12):
    cached_property = functools.cached_property
else:

    class cached_property(functools.cached_property):
        """The one of Python 3.12, which takes no lock: two threads may both compute a value, one stays."""

        def __get__(self, instance: Any, owner: type | None = None) -> Any:
            if instance is None:
                return self
            values = vars(instance)
            if self.attrname not in values:
                values.setdefault(self.attrname, self.func(instance))
            return values[self.attrname]


def _renew_all() -> None:
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_renew_all)
