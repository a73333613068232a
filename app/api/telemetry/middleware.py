"""Counts requests that are in flight, and gives each its span: plain ASGI, inside the gate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from app.api.telemetry.telemetry import Telemetry, route_of
from app.api.telemetry.tracing import Tracing

__all__ = ["TelemetryMiddleware"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class TelemetryMiddleware:
    """Around the routes."""

    def __init__(
        self,
        app: Callable[[Scope, Receive, Send], Awaitable[None]],
        telemetry: Telemetry,
    ) -> None:
        self._app = app
        self._metrics = telemetry.metrics
        self._tracing = telemetry.tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._metrics.begin_request()
        try:
            if self._tracing is None or not self._tracing.wants(scope):
                await self._app(scope, receive, send)
            else:
                await self._trace(self._tracing, scope, receive, send)
        finally:
            self._metrics.end_request()

    async def _trace(self, tracing: Tracing, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with tracing.request(scope) as span:
            try:
                await self._app(scope, receive, watched)
            finally:
                request_id = str(scope.get("state", {}).get("request_id", ""))
                tracing.answered(span, scope["method"], route_of(scope), status, request_id)
