"""Telling others where the time of each search of this process goes: for metrics and traces, which are no
matter of this package.

    stop = watch_searches(lambda collection, request: MyWatch(collection))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeAlias

from indexing.search.request import Request
from indexing.search.results import SearchResults

__all__ = ["SearchWatch", "Watched", "Watcher", "watch_searches", "watching"]


class SearchWatch(Protocol):
    """One search that is watched. It is called by the thread that searches, and must not raise."""

    def step(self, name: str, began: float, ended: float) -> None:
        """A step is over, see `SearchResults.steps`; times are those of `time.perf_counter`."""

    def end(self, results: SearchResults | None) -> None:
        """The search is over; None where it failed."""


Watcher: TypeAlias = Callable[[str, Request], SearchWatch]
"""Is called as a search of the collection of this name begins."""

_watchers: tuple[Watcher, ...] = ()


def watch_searches(watcher: Watcher) -> Callable[[], None]:
    """From now on `watcher` is told every search of this process; the function that is returned ends that."""
    global _watchers
    _watchers = (*_watchers, watcher)

    def stop() -> None:
        global _watchers
        _watchers = tuple(one for one in _watchers if one is not watcher)

    return stop


class Watched:
    """All who watch one search."""

    def __init__(self, watches: tuple[SearchWatch, ...]) -> None:
        self._watches = watches
        self.results: SearchResults | None = None

    def step(self, name: str, began: float, ended: float) -> None:
        for watch in self._watches:
            watch.step(name, began, ended)

    def end(self) -> None:
        for watch in self._watches:
            watch.end(self.results)


@contextmanager
def watching(collection: str, request: Request) -> Iterator[Watched | None]:
    """What one search tells; None where nobody watches, which costs nothing. Give it the `results`."""
    if not _watchers:
        yield None
        return
    watched = Watched(tuple(watcher(collection, request) for watcher in _watchers))
    try:
        yield watched
    finally:
        watched.end()
