"""What must be put in order around a fork: connections, locks of files and locks of threads.

A child has the parent's memory but none of its threads, and shares its open files. Whoever holds such things
registers here and is told before a fork and, in the child, after it. Processes that are started (`spawn`,
`subprocess`) share nothing and need none of this.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Forking", "watch"]


class Forking(Protocol):
    """Something that does not survive a fork as it is."""

    def before_fork(self) -> None:
        """Called in the forking thread, just before the fork. Must not raise."""

    def after_fork(self, in_child: bool) -> None:
        """Called on both sides. In the child no other thread exists, and locks they held stay locked."""


_watched: WeakSet[Forking] = WeakSet()


def watch(item: Forking) -> None:
    """Tell `item` of forks from now on, for as long as it lives."""
    _watched.add(item)


def _before() -> None:
    for item in list(_watched):
        item.before_fork()


def _after(in_child: bool) -> None:
    for item in list(_watched):
        item.after_fork(in_child)


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(in_child=False),
        after_in_child=lambda: _after(in_child=True),
    )
