"""Erasing documents for good. Ids are in bodies, as addresses end in logs."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS
from app.facade.erasure import (
    allow_again,
    check_erased,
    erase_documents,
    finish_erasures,
    list_erasures,
)
from app.text import without_milvus
from indexing.upkeep.erased import ErasedReport
from indexing.upkeep.receipt import Receipt

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}/erasures", tags=["documents"], responses=ERROR_ANSWERS)

_MOST = 10_000
_LONGEST = 4_000


def _shown(told: Receipt | ErasedReport) -> dict[str, Any]:
    """As whoever asks over HTTP may know it."""
    return cast("dict[str, Any]", without_milvus(told.to_dict()))


class ToErase(BaseModel):
    """Documents, by their ids or by a filter such as `year < 2020`."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] | None = Field(None, min_length=1, max_length=_MOST)
    filter: str | None = Field(None, min_length=1, max_length=_LONGEST)


class ToAllow(BaseModel):
    """Documents that may come in again, by their ids, or all of one erasure."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] = Field(default_factory=list, max_length=_MOST)
    erasure: int | None = Field(None, ge=1, le=2**31)


@router.post(
    "", summary="Erase documents for good", operation_id="erase_documents", dependencies=[needs("manage")]
)
async def erase(name: str, body: ToErase, caller: Asking, service: Held) -> dict[str, Any]:
    """From the collection and from searches, judgments, jobs, reports and uploads; they stay out when their
    folder is read again. The answer is the receipt: `done`, or `pending` with the reasons, and what cannot be
    reached. All indexes are made anew, so it may take minutes: where the connection breaks off meanwhile
    it goes on, and the receipt is listed.
    """
    receipt = await service.change(
        name,
        lambda: erase_documents(
            caller, service.location, service.collection(name), body.ids, filter=body.filter
        ),
    )
    return _shown(receipt)


@router.get("", summary="List receipts", operation_id="list_erasures", dependencies=[needs("manage")])
def list_all(name: str, caller: Asking, service: Held) -> dict[str, Any]:
    receipts = list_erasures(caller, service.location, service.collection(name))
    return {"erasures": [_shown(one) for one in receipts]}


@router.post(
    "/finish",
    summary="Go on with what is pending",
    operation_id="finish_erasures",
    dependencies=[needs("manage")],
)
async def finish(name: str, caller: Asking, service: Held) -> dict[str, Any]:
    receipts = await service.change(
        name, lambda: finish_erasures(caller, service.location, service.collection(name))
    )
    return {"erasures": [_shown(one) for one in receipts]}


@router.post(
    "/check",
    summary="Check that what was erased is gone",
    operation_id="check_erasures",
    dependencies=[needs("manage")],
)
def check(name: str, caller: Asking, service: Held) -> dict[str, Any]:
    """Finishes what is pending, then looks in indexes, searches and judgments."""
    return _shown(check_erased(caller, service.location, service.collection(name)))


@router.post(
    "/allow",
    summary="Let documents in again",
    operation_id="allow_erased_again",
    dependencies=[needs("manage")],
)
async def allow(name: str, body: ToAllow, caller: Asking, service: Held) -> dict[str, Any]:
    """Nothing brings them back by itself; `allowed` counts those that were kept out."""
    count = await service.change(
        name,
        lambda: allow_again(
            caller, service.location, service.collection(name), body.ids, erasure=body.erasure
        ),
    )
    return {"allowed": count}
