"""`/mcp`: the collections of the service for agents, with the same keys."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TypeVar

from fastapi import FastAPI
from starlette.requests import Request
from starlette.routing import Route

from app.api.service import Service
from app.mcp.asked import Asked
from app.mcp.http import AgentsEndpoint
from app.mcp.rights import READS, WRITES

__all__ = ["mount_agents"]

T = TypeVar("T")


def mount_agents(app: FastAPI, service: Service) -> AbstractAsyncContextManager[None]:
    """Adds the path; the context is to be entered before requests come.

    An agent may do what its key says, and no more than reading unless the settings say so: on a machine's own
    address no key is asked for, and what an agent read in a document may ask it to delete others.
    """
    settings = service.settings
    most = WRITES if settings.mcp == "write" else READS
    served = frozenset(settings.mcp_names) or None

    def asking(request: Request) -> Asked:
        caller = request.state.caller
        return Asked(replace(caller, surface="mcp", rights=caller.rights & most), service, served)

    endpoint = AgentsEndpoint(asking, _ServiceThreads(service), int(settings.body_mib * 2**20))
    app.router.routes.append(Route("/mcp", endpoint=endpoint))
    return endpoint.running()


class _ServiceThreads:
    """The threads of the service, so that agents wait for their turn as everybody else does."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def run(self, function: Callable[[], T], *, writes: str | None = None) -> T:
        if writes is None:
            return await self._service.run(function)
        return await self._service.change(writes, function, patient=False)
