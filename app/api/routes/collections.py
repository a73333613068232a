"""Collections: list, make, describe, delete."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS
from app.facade.collections import (
    create_collection,
    delete_collection,
    describe_collection,
    names_of_collections,
)
from app.indexing_job import IndexChoices
from indexing.names import BUNDLED_MODEL, DEFAULT_ENGINE, DEFAULT_PRECISION

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections", tags=["collections"], responses=ERROR_ANSWERS)


class NewCollection(BaseModel):
    """What a collection is made with. A model is one that whoever runs the service allows."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=64, examples=["notes"])
    model: str = Field(BUNDLED_MODEL, max_length=1000)
    precision: str = Field(DEFAULT_PRECISION, max_length=20)
    engine: str = Field(DEFAULT_ENGINE, max_length=20)


@router.get("", summary="List collections", operation_id="list_collections", dependencies=[needs("search")])
def list_all(caller: Asking, service: Held) -> dict[str, Any]:
    """Those that the key is for. `damaged` are those that cannot be read now."""
    names, damaged = names_of_collections(caller, service.location)
    return {"collections": [{"name": name} for name in names], "damaged": damaged}


@router.post(
    "",
    status_code=201,
    summary="Make a collection",
    operation_id="make_collection",
    dependencies=[needs("manage")],
)
def make(body: NewCollection, caller: Asking, service: Held) -> dict[str, Any]:
    models = (BUNDLED_MODEL, *service.settings.models)
    choices = IndexChoices(model=body.model, precision=body.precision, engine=body.engine)
    create_collection(caller, service.location, body.name, choices, models=models)
    return describe_collection(caller, service.collection(body.name))


@router.get(
    "/{name}", summary="Describe a collection", operation_id="get_collection", dependencies=[needs("search")]
)
def describe(name: str, caller: Asking, service: Held) -> dict[str, Any]:
    return describe_collection(caller, service.collection(name))


@router.delete(
    "/{name}",
    status_code=204,
    summary="Delete a collection",
    operation_id="delete_collection",
    dependencies=[needs("manage")],
)
def delete(
    name: str, caller: Asking, service: Held, confirm: str, feedback: Literal["erase", "keep"] = "erase"
) -> Response:
    """There is no way back. `confirm` is its name once more. What was said of it is erased too, unless
    `feedback` is `keep`.
    """
    service.forget(name)
    delete_collection(caller, service.location, name, confirm, feedback=feedback == "erase")
    return Response(status_code=204)
