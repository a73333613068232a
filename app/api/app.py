"""The application: routes, errors, and the gate before them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial

from fastapi import Depends, FastAPI

from app.api.dependencies import let_changes_end, refuse_unknown_parameters
from app.api.description import describe
from app.api.errors import add_error_handlers
from app.api.gate import Gate
from app.api.routes import ROUTERS
from app.api.service import Service
from app.api.settings import ServiceSettings
from app.api.telemetry.middleware import TelemetryMiddleware
from app.settings import Location
from stlib import __version__

__all__ = ["make_app"]

_DESCRIPTION = """Search your own documents by meaning.

Keys are made with `stlib keys make NAME` and sent as `Authorization: Bearer KEY`. Every error has one shape:
`{"error": {"type", "message"}, "request_id"}`."""


def make_app(location: Location, settings: ServiceSettings) -> FastAPI:
    """The service over the collections of `location`. It loads what the first searches need when it starts,
    and says at `/readyz` when that is done; `app.state.service` is what its requests share.
    """
    service = Service(location, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        try:
            async with agents:
                yield
        finally:
            service.close()

    app = FastAPI(
        title="stlib",
        version=__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(refuse_unknown_parameters), Depends(let_changes_end)],
    )
    app.state.service = service
    for router in ROUTERS:
        app.include_router(router)
    agents: AbstractAsyncContextManager[None] = nullcontext()
    if settings.mcp != "off":
        from app.api.agents import mount_agents  # it needs the library of the protocol

        agents = mount_agents(app, service)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]  # so FastAPI wants it
    add_error_handlers(app)
    app.add_middleware(TelemetryMiddleware, telemetry=service.telemetry)
    app.add_middleware(Gate, service=service)
    return app
