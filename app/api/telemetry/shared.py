"""Counting in several processes: each writes its numbers to files of one folder, and any adds them up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["counts_are_shared", "forget_worker", "shared_counts"]

# Read by prometheus_client when it is imported.
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def counts_are_shared() -> bool:
    return _FOLDER_VARIABLE in os.environ


@contextmanager
def shared_counts() -> Iterator[None]:
    """Has the processes that are started meanwhile count together; it comes before they, and before this one,
    import `prometheus_client`. Where the variable of that package is set already, its folder is taken.
    """
    if counts_are_shared():
        yield
        return
    with tempfile.TemporaryDirectory(prefix="stlib-metrics-") as folder:
        os.environ[_FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[_FOLDER_VARIABLE]


def forget_worker(pid: int) -> None:
    """A worker process ended: what it was doing at a time is counted no more, what it did stays."""
    if counts_are_shared():
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(pid)
