"""Serving many clients over HTTP, as one address of a service that has checked who asks.

Every request stands alone: no session is kept, so that any process of the service may answer it, and none can
be taken over.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from mcp.server.context import ServerRequestContext
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.responses import Response

from app.mcp.asked import Asked
from app.mcp.server import Threads, make_server

__all__ = ["AgentsEndpoint"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AgentsEndpoint:
    """An ASGI application. Host, Origin and keys are for whoever stands before it.

    Args:
        asking: who asks, by the request.
        threads: what the work is done in.
        most_bytes: of a request.
    """

    def __init__(self, asking: Callable[[Any], Asked], threads: Threads, most_bytes: int) -> None:
        def asked(context: ServerRequestContext[Any, Any]) -> Asked:
            return asking(context.request)

        self._manager = StreamableHTTPSessionManager(
            make_server(asked, threads), json_response=True, stateless=True, max_request_body_size=most_bytes
        )

    def running(self) -> AbstractAsyncContextManager[None]:
        """A context in which requests are answered; it can be entered once."""
        return self._manager.run()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            # A stream of what the server has to say, or the end of a session: there are none.
            await Response(status_code=405, headers={"Allow": "POST"})(scope, receive, send)
            return
        await self._manager.handle_request(scope, receive, send)
