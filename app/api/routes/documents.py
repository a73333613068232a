"""Documents of a collection: stored as a stream of lines, read, changed, deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS, NotFound, answer_http, answer_known, json_response
from app.api.lines import line_batches
from app.facade.documents import Upload, delete_documents, get_documents, list_documents, update_metadata
from indexing.errors import BadInput, IndexingError

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}/documents", tags=["documents"], responses=ERROR_ANSWERS)

MOST_LISTED = 1_000
MOST_CHARACTERS = 200_000

# Another process that waits for its turn to write gets one between two batches.
_TURN_SECONDS = 0.03

_LINES = {
    "required": True,
    "content": {
        "application/x-ndjson": {"schema": {"type": "string", "example": '{"id": "a", "text": "…"}\n'}}
    },
}


class Metadata(BaseModel):
    model_config = ConfigDict(extra="forbid")

    metadata: dict[str, Any]


@router.post(
    "",
    summary="Add or replace documents",
    operation_id="add_documents",
    dependencies=[needs("write")],
    openapi_extra={"requestBody": _LINES},
)
async def upload(name: str, request: Request, caller: Asking, service: Held) -> Response:
    """The body is one JSON object a line: `{"id", "text", "title"?, "metadata"?}`. It may be of any length: a
    few hundred lines are held at a time and are safe on the disk before the next are read. Lines that cannot
    be used are named in the answer, the others are stored.

    If it ends early, `error.report.stored_lines` says how many lines are done. Sending all of them again does
    no harm.
    """
    store = await service.change(name, lambda: Upload(caller, service.collection(name), wait=0))
    most = int(service.settings.line_mib * 2**20)
    try:
        async for lines in line_batches(_pieces(request), most):
            await service.change(name, partial(store.add_lines, lines))
            await asyncio.sleep(_TURN_SECONDS)
        report = await service.change(name, store.finish)
    except IndexingError as error:
        return await answer_known(request, error, report=store.report.to_dict())
    except HTTPException as error:  # too much, or too slow
        return answer_http(request, error, report=store.report.to_dict())
    return json_response(report.to_dict())


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        yield piece


@router.get("", summary="List documents", operation_id="list_documents", dependencies=[needs("search")])
def list_all(
    name: str,
    caller: Asking,
    service: Held,
    filter: Annotated[str | None, Query(max_length=MOST_CHARACTERS)] = None,
    after: Annotated[str | None, Query(max_length=MOST_CHARACTERS)] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 100,
) -> Response:
    """In the order of ids. `next` is what `after` is for the page behind this one; null at the end."""
    found, next_ = list_documents(caller, service.collection(name), filter, after=after, limit=limit)
    return json_response({"documents": [one.to_dict() for one in found], "next": next_})


@router.get(
    "/{id:path}", summary="Read a document", operation_id="get_document", dependencies=[needs("search")]
)
def read(name: str, id: str, caller: Asking, service: Held) -> Response:
    found = get_documents(caller, service.collection(name), [id])
    if id not in found:
        raise NotFound("there is no such document in this collection")
    return json_response(found[id].to_dict())


@router.put(
    "/{id:path}/metadata",
    summary="Replace the metadata of a document",
    operation_id="replace_metadata",
    dependencies=[needs("write")],
)
async def change(name: str, id: str, body: Metadata, caller: Asking, service: Held) -> Response:
    new = {id: body.metadata}
    if not await service.change(name, lambda: update_metadata(caller, service.collection(name), new, wait=0)):
        raise NotFound("there is no such document in this collection")
    return json_response({"id": id, "metadata": body.metadata})


@router.delete(
    "/{id:path}", summary="Delete a document", operation_id="delete_document", dependencies=[needs("write")]
)
async def delete_one(name: str, id: str, caller: Asking, service: Held) -> Response:
    if not await service.change(
        name, lambda: delete_documents(caller, service.collection(name), [id], wait=0)
    ):
        raise NotFound("there is no such document in this collection")
    return json_response({"deleted": [id]})


@router.delete(
    "", summary="Delete documents by filter", operation_id="delete_documents", dependencies=[needs("write")]
)
async def delete_matching(name: str, filter: str, caller: Asking, service: Held) -> Response:
    """All that match a filter such as `year < 2020`. An empty filter is refused."""
    if not filter.strip():
        raise BadInput("the filter is empty, and would match every document")
    gone = await service.change(
        name, lambda: delete_documents(caller, service.collection(name), filter=filter, wait=0)
    )
    return json_response({"deleted": gone})
