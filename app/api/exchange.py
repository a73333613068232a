"""What comes with one request and goes back, within limits of size and time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any

import anyio
from starlette.exceptions import HTTPException

from stlib.util.forks import ThreadLock

__all__ = [
    "Answer",
    "Body",
    "Gone",
    "Headers",
    "Limit",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "begin_change",
    "has_begun",
    "too_large",
]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Bytes a second that a client must send over time: one that sends a byte now and then holds a connection.
_LEAST_RATE = 1_024
_ADDED = [
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
_CLOSE = {"Connection": "close"}


class Headers:
    """The first of each header; uvicorn gives them in small letters."""

    def __init__(self, raw: list[tuple[bytes, bytes]]) -> None:
        self._raw = raw

    def get(self, name: bytes) -> str | None:
        for one, value in self._raw:
            if one == name:
                return value.decode("latin-1")
        return None


class Gone(Exception):
    """The client takes nothing any more."""


class Limit:
    """The time of a request until something is done that cannot be taken back: from then on the answer comes,
    late perhaps, as an error would say that it was not done.

    Attributes:
        scope: what is cancelled when the time has run out before that.
        begun: whether that was done.
    """

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self._lock = ThreadLock()
        self.begun = self._struck = False

    def begin(self) -> bool:
        """For any thread, before the first thing that cannot be taken back. False when it is too late."""
        with self._lock:
            self.begun = not self._struck
            return self.begun

    def strike(self) -> None:
        """For the loop, when the time has run out."""
        with self._lock:
            self._struck = not self.begun
        if self._struck:
            self.scope.cancel()


_LIMIT: ContextVar[Limit | None] = ContextVar("limit", default=None)


def begin_change() -> bool:
    """Whether the request that is answered here may still change something; see `Limit.begin`."""
    limit = _LIMIT.get()
    return limit is None or limit.begin()


def has_begun() -> bool:
    """Whether the request that is answered here has begun to change something."""
    limit = _LIMIT.get()
    return limit is not None and limit.begun


class Body:
    """What the client sends, as far as it may and as long as it goes on. What is too much or too slow is an
    HTTPException: frameworks let that through where they read a body.

    Attributes:
        most: bytes.
        complete: whether all of it was read, or there is none.
        check: awaited after each piece; raises when no more is taken from this sender.
    """

    def __init__(self, receive: Receive, headers: Headers, seconds: float) -> None:
        self.most = 0
        self.check: Callable[[], Awaitable[object]] | None = None
        length = headers.get(b"content-length")
        self.complete = length in (None, "0") and headers.get(b"transfer-encoding") is None
        self._receive = receive
        self._seconds = seconds
        self._read = 0
        self._waited = 0.0
        self._ended = False

    async def __call__(self) -> Message:
        if self._ended:  # what is waited for now is the end of the connection
            return await self._receive()
        began = time.perf_counter()
        try:
            with anyio.fail_after(self._seconds):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, f"nothing came for {self._seconds:g} s", _CLOSE) from None
        self._waited += time.perf_counter() - began
        self._read += len(message.get("body", b""))
        if self._read > self.most:
            raise HTTPException(413, too_large(self.most), _CLOSE)
        if self._read < (self._waited - self._seconds) * _LEAST_RATE:
            raise HTTPException(408, "the body comes too slowly", _CLOSE)
        if self.check is not None:
            await self.check()
        if not message.get("more_body", False):
            self._ended = self.complete = True
        return message


class Answer:
    """What goes back, with what every answer carries.

    Attributes:
        limit: for its beginning; from then on each piece of it has a time of its own.
        status: 0 before it began.
    """

    limit: Limit | None = None

    def __init__(self, send: Send, request_id: str, seconds: float, body: Body) -> None:
        self._send = send
        self._added = [(b"x-request-id", request_id.encode()), *_ADDED]
        self._seconds = seconds
        self._body = body
        self.status = 0
        self.size = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if self.limit is not None and not self.limit.begin():
                raise TimeoutError
            self.status = message["status"]
            headers = [*message.get("headers", ()), *self._added]
            # Nobody would read the rest of a body, and it could come for ever.
            if not self._body.complete and all(name != b"connection" for name, _ in headers):
                headers.append((b"connection", b"close"))
            message = {**message, "headers": headers}
        else:
            self.size += len(message.get("body", b""))
        try:
            with anyio.fail_after(self._seconds):
                await self._send(message)
        except TimeoutError:  # nobody reads it: uvicorn closes a connection whose answer is not complete
            raise Gone from None

    def add(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Headers for whatever goes back."""
        self._added.extend(headers)

    async def within(self, seconds: float, answering: Awaitable[None]) -> None:
        """Await what sends this answer.

        Raises:
            TimeoutError: it has not begun after so many seconds, and nothing was changed.
        """
        self.limit = limit = Limit()
        said = _LIMIT.set(limit)
        timer = asyncio.get_running_loop().call_later(seconds, limit.strike)
        try:
            with limit.scope:
                await answering
        finally:
            timer.cancel()
            _LIMIT.reset(said)
        if limit.scope.cancelled_caught:
            raise TimeoutError

    async def instead(self, response: Any, scope: Scope, receive: Receive) -> None:
        """An error, unless the answer has begun: then all that can be done is to end it."""
        if not self.status:
            self.limit = None
            await response(scope, receive, self)


def too_large(most: int) -> str:
    return f"the body is larger than {most / 2**20:g} MiB, which is the most that is taken at once"
