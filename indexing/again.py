"""Reading once more when a database server closed the connection: nothing was changed by it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from indexing.errors import ConnectionLost

__all__ = ["read_again"]

P = ParamSpec("P")
R = TypeVar("R")


def read_again(read: Callable[P, R]) -> Callable[P, R]:
    """`read`, tried a second time where the connection was lost in its middle; it must change nothing.

    A server that was restarted between two reads is no such case: its connections are looked at before they
    are used. What writes is never repeated: `ConnectionLost` says that it is to be run again.
    """

    @wraps(read)
    def reading(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except ConnectionLost:
            return read(*args, **kwargs)

    return reading
