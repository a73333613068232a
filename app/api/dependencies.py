"""What routes ask for: who asks, what the process holds, and whether this is allowed.

    @router.get("/v1/collections/{name}/things", dependencies=[needs("search")])
    def list_things(name: str, caller: Asking, service: Held) -> …:
        collection = service.collection(name)

Routes that open collections or read databases are `def`, which runs in a thread; `async def` is for those
that hand such work to `service.run`, or to `service.change` where it writes to a collection.
"""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from app.api.exchange import begin_change
from app.api.service import Service
from app.facade.caller import Caller, require
from indexing.errors import BadInput

__all__ = ["Asking", "Held", "RequestId", "let_changes_end", "needs", "refuse_unknown_parameters"]


async def refuse_unknown_parameters(request: Request) -> None:
    """What an address asks in vain: a filter whose name is misspelled would let everything through.

    Raises:
        BadInput: a parameter that the route does not know.
    """
    if not request.scope["query_string"]:
        return
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    if unknown := [name for name in request.query_params if name not in known]:
        there = f"there are: {', '.join(sorted(known))}" if known else "there are none"
        raise BadInput(f"unknown parameter {unknown[0][:100]!r} of this address; {there}")


async def let_changes_end(request: Request) -> None:
    """A thread cannot be stopped: the answer of one that changes something comes late rather than as an error
    of something that was done. And such threads, which may wait for another process, are some of all: the
    others are for who reads. Routes that are `async def` see to both themselves.
    """
    if request.method not in _READING and not iscoroutinefunction(request.scope["endpoint"]):
        changing = request.app.state.service.changing
        await changing.acquire()
        request.state.end = changing.release  # the gate calls it
        begin_change()


async def _asking(request: Request) -> Caller:
    return cast(Caller, request.state.caller)  # the gate put it there


async def _held(request: Request) -> Service:
    return cast(Service, request.app.state.service)


async def _request_id(request: Request) -> str:
    return str(request.state.request_id)


_READING = frozenset({"GET", "HEAD", "OPTIONS"})

Asking = Annotated[Caller, Depends(_asking)]
Held = Annotated[Service, Depends(_held)]
RequestId = Annotated[str, Depends(_request_id)]


def needs(right: str) -> Any:
    """For `dependencies=` of a route: refuses callers without this right, and those whose key is not for the
    collection `name` of the path, whether there is one or not. The facade asks again.
    """

    async def check(request: Request, caller: Asking) -> None:
        require(caller, right, request.path_params.get("name"))

    return Depends(check)
