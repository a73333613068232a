"""Files that programs bring, and the folders that a collection was read from."""

from __future__ import annotations

import tempfile
from typing import Annotated, BinaryIO, cast

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS
from app.api.routes.jobs import JobShown
from app.facade.collections import Incoming, add_files, forget_uploads
from app.facade.sources import folders_of
from app.settings import upload_limits
from indexing.errors import BadInput
from indexing.sources.report import Source

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}", tags=["files"], responses=ERROR_ANSWERS)

_IN_MEMORY = 1 << 20
_FILE = {
    "required": True,
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


class FileStored(BaseModel):
    """A file that is kept, under a name that is safe here; `fresh` is false where the same was there already.
    `job` reads it into the collection; null where nothing is new.
    """

    name: str
    bytes: int
    fresh: bool
    job: JobShown | None


class FilesForgotten(BaseModel):
    files: int
    bytes: int


class Folder(BaseModel):
    """A folder, and when it was read. `confirmed`: somebody named it on this machine."""

    root: str = Field(examples=["/srv/notes"])
    confirmed: bool
    files: int
    documents: int
    synced_at: str | None


@router.post(
    "/files",
    status_code=202,
    summary="Bring a file",
    operation_id="add_file",
    dependencies=[needs("manage")],
    openapi_extra={"requestBody": _FILE},
)
async def add_file(
    name: str,
    request: Request,
    caller: Asking,
    service: Held,
    filename: Annotated[
        str, Query(min_length=1, max_length=1_000, description="Its extension tells what it is.")
    ],
    replace: Annotated[
        bool, Query(description="Take the place of a file of this name, which gets a number otherwise.")
    ] = False,
) -> FileStored:
    """The body is the file as it is. It is kept, and a job reads it into the collection."""
    most = upload_limits().file_bytes
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        size, held = 0, b""
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise HTTPException(413, f"a file may have {most >> 20} MiB at most: see STLIB_UPLOAD_MIB")
            held += piece
            if len(held) >= _IN_MEMORY:
                await to_thread.run_sync(file.write, held)
                held = b""
        await to_thread.run_sync(file.write, held)
        file.seek(0)
        incoming = Incoming(filename, cast(BinaryIO, file))
        received, job = await service.change(
            name, lambda: add_files(caller, service.location, name, [incoming], replace=replace)
        )
    for _, why in received.refused:
        raise BadInput(f"the file is not kept: {why}")
    stored = received.stored[0]
    shown = None if job is None else JobShown.of(job, caller)
    return FileStored(name=stored.name, bytes=stored.bytes, fresh=stored.fresh, job=shown)


@router.delete(
    "/files",
    summary="Remove files that were brought",
    operation_id="delete_files",
    dependencies=[needs("manage")],
)
def delete_files(name: str, caller: Asking, service: Held) -> FilesForgotten:
    """The documents that were read from them stay."""
    files, size = forget_uploads(caller, service.location, name)
    return FilesForgotten(files=files, bytes=size)


@router.get(
    "/sources",
    summary="List folders",
    operation_id="list_sources",
    dependencies=[needs("manage")],
)
def list_sources(name: str, caller: Asking, service: Held) -> dict[str, list[Folder]]:
    """Those that the collection was read from; a job of the kind `sync` reads what changed in them."""
    found = folders_of(caller, service.location, name)
    return {"sources": [_shown(one) for one in found]}


def _shown(source: Source) -> Folder:
    return Folder(
        root=source.root,
        confirmed=source.confirmed,
        files=source.files,
        documents=source.documents,
        synced_at=source.synced_at,
    )
