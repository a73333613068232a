"""What pages of this project ask (`stlib ui --server`): the closed table of `app.desk`, for nobody else.

A body is a JSON object with the arguments by their names, each checked by its declared type; with files it is
a form of `arguments` and `files`. Who asks is told by the key alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from app.api.dependencies import Asking, Held
from app.api.errors import NotFound, json_bytes
from app.api.exchange import begin_change
from app.api.service import Service
from app.desk import codec
from app.desk.table import ENTRIES, READS, Entry, right_for
from app.desk.visit import Visit
from app.facade.caller import Caller, require
from app.facade.collections import Incoming
from app.remote.names import SESSION_HEADER
from indexing.errors import BadInput

__all__ = ["router"]

router = APIRouter(prefix="/v1/page", include_in_schema=False)

_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_MOST_FILES = 1_000
_MOST_ARGUMENTS = 1 << 20  # bytes, beside files
_MOST_BODY = 256 << 10  # bytes, of what has no pages, passages or ids of many documents in it
_LONG_BODIES = ("searching.answer", "searching.compare", "improving.documents")
# They search, and wait for their turn with all that do.
_SEARCHES = ("searching.answer", "searching.compare")
# Hold a file of up to 64 MiB in memory, several times.
_LARGE = ("searching.original_file", "searching.original_page", "searching.original_lines")
_AT_ONCE = CapacityLimiter(2)
# Bytes of a request with files, beside what the gate allows of any.
_MOST_BYTES = {"measuring.add_set": 64 << 20}


@router.post("/{function}")
async def ask(function: str, request: Request, caller: Asking, service: Held) -> Response:
    entry = ENTRIES.get(function)
    if entry is None:
        raise NotFound(f"pages of this version ask for no {function[:80]!r}")
    if right := right_for(entry.name):
        require(caller, right)
    visit = _visit(caller, request.headers.get(SESSION_HEADER, ""), service)
    async with _sent(request, entry) as (text, files):
        if entry.name in _SEARCHES:
            body = await service.run(_answer, entry, visit, text, files)
        else:
            limiter = _AT_ONCE if entry.name in _LARGE else None
            async with nullcontext() if entry.name in READS else service.changing:
                if entry.name not in READS:
                    begin_change()
                body = await to_thread.run_sync(_answer, entry, visit, text, files, limiter=limiter)
    return Response(body, media_type="application/json")


def _visit(caller: Caller, session: str, service: Service) -> Visit:
    """The visits of one key are told apart by what its page says; those of others they cannot be."""
    if _SESSION.fullmatch(session):
        caller = replace(caller, session=f"{caller.session}.{session}")
    settings = service.settings
    return Visit(
        caller, service.location, service.collection, service.forget, settings.models, settings.local
    )


def _answer(entry: Entry, visit: Visit, text: bytes, files: list[Incoming]) -> bytes:
    """In a thread: reading what was sent takes its time, too."""
    arguments = entry.decode_arguments(_parsed(text))
    if entry.files:
        arguments[entry.files] = files
    return json_bytes({"answer": codec.encode(entry.function(visit, **arguments), entry.gives)})


@asynccontextmanager
async def _sent(request: Request, entry: Entry) -> AsyncIterator[tuple[bytes, list[Incoming]]]:
    """The arguments as they came, and files, which are there as long as this is open."""
    most = _MOST_BYTES.get(entry.name)
    if not entry.files and entry.name not in _LONG_BODIES:
        most = _MOST_BODY
    if most:
        request = Request(request.scope, _at_most(most, request.receive))
    if not entry.files:
        yield await request.body(), []
        return
    form = request.form(max_files=_MOST_FILES, max_fields=1, max_part_size=_MOST_ARGUMENTS)
    async with form as brought:
        told = brought.get("arguments")
        files = [one for one in brought.getlist("files") if isinstance(one, UploadFile)]
        text = told.encode("utf-8", "replace") if isinstance(told, str) else b""
        yield text, [Incoming(one.filename or "", one.file) for one in files]


def _at_most(most: int, receive: Receive) -> Receive:
    """A body of at most so many bytes; raises HTTPException for more."""
    left = most

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"what was sent takes more than {_size(most)}: send less at once")
        return message

    return limited


def _size(most: int) -> str:
    return f"{most >> 20} MiB" if most >> 20 else f"{most >> 10} KiB"


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput("the body is no JSON object with the arguments by their names") from error
