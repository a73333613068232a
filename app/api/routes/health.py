"""`/healthz`: the process lives. `/readyz`: it has loaded what it needs, and is not ending; `away`
names what it has to do without.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from app.api.dependencies import Held
from app.facade.health import milvus_is_away

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Whether the process lives", operation_id="is_alive")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get(
    "/readyz",
    summary="Whether searches are answered without delay",
    operation_id="is_ready",
    responses={
        503: {"description": "It is still loading, or is ending.", "content": {"application/json": {}}}
    },
)
async def readyz(service: Held) -> Any:
    if service.loading is None:
        # Searches by words are answered all the same, others where files stand in for it.
        return {"ready": True, **({"away": ["milvus"]} if milvus_is_away() else {})}
    return JSONResponse({"ready": False}, 503, {"Retry-After": "1"})
