"""Methods for loops out of those that keep a thread busy."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["in_thread"]

T = TypeVar("T")


def in_thread(method: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    """A method that calls the one of this name in a thread, as a subclass has it."""

    @functools.wraps(method)
    async def called(self: Any, *given: Any, **named: Any) -> T:
        return await asyncio.to_thread(getattr(self, method.__name__), *given, **named)

    return called
