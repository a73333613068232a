"""HTTP on one connection, as uvicorn speaks it, with limits on what a client may send before it is a request.

A client that opens a connection and says nothing, or a header a minute, would hold it for ever; one that
never takes its answer too.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["BoundedProtocol"]

MOST_HEAD_BYTES = 64 << 10  # of the request line and the headers, and of trailers


class BoundedProtocol(HttpToolsProtocol):
    """`server_state` has `header_seconds` and `closed`, which is called when a connection ends.

    Attributes:
        idle_since: when it began to wait for a request; None while there is one, from its complete head on.
    """

    idle_since: float | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._head = 0  # bytes of a head that is not complete
        self._in_head = True
        self._begun = False  # a head that is not complete
        self._behind = 0  # bytes since the last one of a body that is not complete

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.idle_since = self.loop.time()
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)
        self.server_state.closed()  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
            if self._head > MOST_HEAD_BYTES and self._complete_heads(data) == 0:
                self._refuse(431, "too_large", f"the headers are longer than {MOST_HEAD_BYTES >> 10} KiB")
                return
        self._behind += len(data)
        super().data_received(data)
        if self._behind > MOST_HEAD_BYTES and not self._in_head:
            self._refuse_trailers()
            return
        if self._begun and self._deadline is None:  # another request on this connection
            self._expect_head()

    def _complete_heads(self, data: bytes) -> int:
        """How many heads end in these bytes: a body may come with them, which has limits of its own."""
        return data.count(b"\r\n\r\n")

    def on_message_begin(self) -> None:
        self._begun = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # trailers say nothing here, and would be kept
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._behind = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self.idle_since = None
        self._in_head = self._begun = False
        self._head = self._behind = 0
        self._forget_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle is None or self.cycle.response_complete:  # else the next request has begun already
            self.idle_since = self.loop.time()

    def leave(self) -> None:
        """Close it for another one."""
        self._end()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "bad_request", "this is no HTTP that can be understood")

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self._end()
        super().timeout_keep_alive_handler()

    def _end(self) -> None:
        if self.transport.get_write_buffer_size():  # an answer that nobody took: closing would wait for it
            self.transport.abort()
        else:
            self.transport.close()

    def _expect_head(self) -> None:
        seconds = self.server_state.header_seconds  # type: ignore[attr-defined]
        self._deadline = self.loop.call_later(seconds, self._head_too_slow)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _head_too_slow(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._refuse(408, "too_slow", "the request did not come in time")
        else:  # the one before it is not answered yet, and its answer must not be cut off
            self._expect_head()

    def _refuse_trailers(self) -> None:
        if self.cycle is not None and self.cycle.response_started:  # another answer would be in its midst
            self.transport.close()
        else:
            message = f"what follows the body is longer than {MOST_HEAD_BYTES >> 10} KiB"
            self._refuse(431, "too_large", message)

    def _refuse(self, status: int, type_: str, message: str) -> None:
        if self.transport.is_closing():
            return
        body = json.dumps({"error": {"type": type_, "message": message}, "request_id": ""}).encode()
        head = (
            f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}
