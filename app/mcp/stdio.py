"""Serving one client that started this process, over stdin and stdout."""

from __future__ import annotations

import signal
from threading import Thread, Timer
from typing import Any

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.stdio import stdio_server

from app.facade.caller import Caller, local_caller
from app.facade.opened import OpenCollections
from app.mcp.asked import Asked
from app.mcp.rights import READS, WRITES
from app.mcp.server import make_server
from app.settings import Location

__all__ = ["serve_stdio"]

_WARMED = 5  # collections; the others load when they are asked
_BREATH = 0.1  # seconds in which the first answer is on its way


def serve_stdio(location: Location, served: frozenset[str] | None = None, *, write: bool = False) -> None:
    """Answer on stdout what is asked on stdin, until that is closed. Whatever else this process, or one that
    it starts, writes to stdout goes to stderr meanwhile.

    What searching needs is loaded when the client has its first answer, so that it waits for neither.

    Raises:
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    failed: list[BaseException] = []

    def serve() -> None:
        try:
            anyio.run(_serve, location, served, WRITES if write else READS)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    # In a thread of its own: the loop ends when what reads stdin does, which no signal tells to.
    thread = Thread(target=serve, name="stlib mcp", daemon=True)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        thread.start()
        thread.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    if failed:
        raise failed[0]


async def _serve(location: Location, served: frozenset[str] | None, rights: frozenset[str]) -> None:
    person = local_caller("mcp")
    held = OpenCollections(location)
    asked = Asked(Caller(person.name, person.surface, person.session, rights), held, served, local=True)
    server = make_server(lambda context: asked)
    warming = _Warming(asked, held)
    server.middleware.append(warming)
    try:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())
    finally:
        warming.finish()
        held.close()


class _Warming:
    """Loads in a thread what the first search would wait for, once something was answered."""

    def __init__(self, asked: Asked, held: OpenCollections) -> None:
        self._asked = asked
        self._held = held
        self._timer: Timer | None = None

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        answer = await call_next(ctx)
        if self._timer is None:
            self._timer = Timer(_BREATH, self._load)
            self._timer.daemon = True
            self._timer.start()
        return answer

    def _load(self) -> None:
        from app.mcp.running.warming import warm_up

        warm_up(self._asked, self._held, _WARMED)

    def finish(self) -> None:
        """A thread that loads a library while the interpreter ends would crash it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
