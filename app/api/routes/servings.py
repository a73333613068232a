"""What decides the answers of a collection: which servings there are, which of them answers, and trials."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS, NotFound, json_response
from app.facade.gate import (
    end_trial,
    gate_report,
    promote,
    rollback,
    settle_trial,
    start_trial,
    trial_report,
)
from indexing import Collection
from indexing.serving.history import Serving

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}", tags=["servings"], responses=ERROR_ANSWERS)

Number = Annotated[int, Path(ge=0, le=2**53, description="The id of a serving.", examples=[2])]


class ServingShown(BaseModel):
    """A serving: a generation of vectors, and how it is searched. `gate` is the verdict on one that was
    learned; `behind` is how many changes it has yet to follow.
    """

    id: int
    live: bool
    trial: bool = Field(description="Whether it answers beside the live one now.")
    note: str = Field(description="What was changed, in a few words.")
    model: str
    dimension: int
    precision: str
    engine: str
    chunking: dict[str, Any]
    beside: dict[str, str]
    ranking: dict[str, Any]
    reranker: str | None
    head: bool
    memory: bool
    gate: dict[str, Any] | None
    generation: int
    behind: int
    created_at: str
    promotions: list[dict[str, Any]] = Field(description="When it became live or was tried, and by whom.")

    @classmethod
    def of(cls, serving: Serving) -> ServingShown:
        return cls(**serving.to_dict())


class ServingList(BaseModel):
    live: int
    servings: list[ServingShown] = Field(description="The oldest first.")


class Promotion(BaseModel):
    """Why a serving is promoted that the gate has not passed; without it only what passed can be."""

    model_config = ConfigDict(extra="forbid")

    override: str | None = Field(
        None, min_length=1, max_length=2_000, examples=["the answers were compared by hand"]
    )


class Rollback(BaseModel):
    """Which serving is left, so that asking twice does not go back twice: 409 where another one is live."""

    model_config = ConfigDict(extra="forbid")

    expected: int | None = Field(None, ge=0, le=2**53, examples=[2])


class Moved(BaseModel):
    live: int = Field(description="The serving that answers now.")
    before: int


class TrialStart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    serving: int = Field(ge=0, le=2**53, examples=[2])


@router.get(
    "/servings", summary="List servings", operation_id="list_servings", dependencies=[needs("search")]
)
def list_servings(name: str, service: Held) -> ServingList:
    servings = service.collection(name).servings()
    live = next(one.id for one in servings if one.live)
    return ServingList(live=live, servings=[ServingShown.of(one) for one in servings])


@router.get(
    "/servings/{serving}",
    summary="Describe a serving",
    operation_id="get_serving",
    dependencies=[needs("search")],
)
def get_serving(name: str, serving: Number, service: Held) -> ServingShown:
    return ServingShown.of(_find(service.collection(name), serving))


@router.get(
    "/servings/{serving}/gate",
    summary="Read the gate's report on a serving",
    operation_id="get_gate_report",
    dependencies=[needs("search")],
)
def get_gate_report(name: str, serving: Number, caller: Asking, service: Held) -> Response:
    """Whether it is better than what was live on questions that it has not learned from, with the figures."""
    report = gate_report(caller, service.location, service.collection(name), serving)
    if report is None:
        raise NotFound(f"serving {serving} was not tested")
    return json_response(report.to_dict())


@router.post(
    "/servings/{serving}/promote",
    summary="Make a serving answer",
    operation_id="promote_serving",
    dependencies=[needs("improve")],
)
def promote_serving(
    name: str, serving: Number, caller: Asking, service: Held, body: Promotion | None = None
) -> Moved:
    """Every process notices before its next search. One that was learned needs the gate's word (409 without),
    or the reason of a person, which the history keeps with the name of the key. A trial that goes on ends.
    """
    collection = service.collection(name)
    _find(collection, serving)
    moved = promote(caller, service.location, collection, serving, None if body is None else body.override)
    return Moved(live=moved.serving.id, before=moved.before.id)


@router.post(
    "/servings/rollback",
    summary="Go back to what answered before",
    operation_id="roll_back",
    dependencies=[needs("improve")],
)
def roll_back(name: str, caller: Asking, service: Held, body: Rollback | None = None) -> Moved:
    expected = None if body is None else body.expected
    moved = rollback(caller, service.location, service.collection(name), expected=expected)
    return Moved(live=moved.serving.id, before=moved.before.id)


@router.get("/trial", summary="Read the trial", operation_id="get_trial", dependencies=[needs("search")])
def get_trial(name: str, caller: Asking, service: Held) -> Response:
    """The one that goes on, or the last one. Changes nothing."""
    return _shown(trial_report(caller, service.location, service.collection(name)))


@router.post(
    "/trial",
    status_code=201,
    summary="Start a trial",
    operation_id="start_trial",
    dependencies=[needs("improve")],
)
def begin_trial(name: str, body: TrialStart, caller: Asking, service: Held) -> Response:
    """From now on the serving answers beside the live one, the two interleaved, and clicks vote."""
    report = start_trial(caller, service.location, service.collection(name), body.serving)
    return json_response(report.to_dict(), 201)


@router.post(
    "/trial/settle",
    summary="Settle a trial that is decided",
    operation_id="settle_trial",
    dependencies=[needs("improve")],
)
def settle(name: str, caller: Asking, service: Held) -> Response:
    """Where it is decided, or at its bound, it ends: the candidate becomes live if people prefer it."""
    return _shown(settle_trial(caller, service.location, service.collection(name)))


@router.delete("/trial", summary="End the trial", operation_id="end_trial", dependencies=[needs("improve")])
def end(name: str, caller: Asking, service: Held) -> Response:
    """What is live answers alone, whatever the votes say so far."""
    return _shown(end_trial(caller, service.location, service.collection(name)))


def _shown(report: Any) -> Response:
    if report is None:
        raise NotFound("no serving of this collection was ever tried")
    return json_response(report.to_dict())


def _find(collection: Collection, serving: int) -> Serving:
    for one in collection.servings():
        if one.id == serving:
            return one
    raise NotFound(f"this collection has no serving {serving}")
