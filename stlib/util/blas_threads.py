"""Holding the matrix products of numpy to one thread while a program runs several of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

from stlib.util.forks import ThreadLock

__all__ = ["one_blas_thread"]

_lock = ThreadLock()
_users = 0
_limits: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """While anybody is inside, BLAS works on one thread in this process; then as before.

    Threads of BLAS beside threads of one's own wait for each other: small products took three times the
    processor time on two busy cores. The setting is one of the process, so it is counted who wants it.
    """
    global _users, _limits
    with _lock:
        _users += 1
        if _users == 1:
            _limits = threadpool_limits(1, user_api="blas")
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _limits.restore_original_limits()
                _limits = None
