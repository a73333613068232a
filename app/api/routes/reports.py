"""Reports: of comparisons, of tests by the gate, of what was tuned."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from app.api.dependencies import Asking, Held, needs
from app.api.errors import ERROR_ANSWERS, json_response
from app.facade.gate import list_looks, list_runs
from app.facade.reports import past_reports, read_report
from app.report.rendering import render

__all__ = ["router"]

router = APIRouter(prefix="/v1/collections/{name}/reports", tags=["reports"], responses=ERROR_ANSWERS)

_MEDIA = {"json": "application/json", "html": "text/html", "md": "text/markdown"}
# What a document says may stand in a report: a browser that shows it runs nothing and asks nobody.
_SANDBOX = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
}


class ReportShown(BaseModel):
    """A report in short: means of the baseline and of the best system."""

    id: int
    at: str = Field(examples=["2026-11-30T14:17:00+00:00"])
    who: str
    source: str = Field(description="Which judgments.")
    split: str
    judgments: str = Field(description="Their fingerprint.")
    questions: int
    systems: int
    serving: int
    metrics: dict[str, float] = Field(examples=[{"NDCG@10": 0.41}])
    best: dict[str, float]
    best_name: str


class Tuned(BaseModel):
    """What one tune did. `candidate` is the serving that was made, null if nothing was learned."""

    id: int
    at: float = Field(description="Seconds since 1970.")
    who: str
    lever: str
    candidate: int | None
    promoted: bool
    seconds: float
    details: dict[str, Any]
    gate: dict[str, Any] | None


class Tested(BaseModel):
    """One test of a candidate. One without a verdict was stopped, and counts all the same."""

    id: int
    at: float = Field(description="Seconds since 1970.")
    who: str
    epoch: int
    number: int
    alpha: float
    baseline: int
    candidate: int
    questions: int
    cross_fitted: bool
    p: float | None
    verdict: str | None


@router.get("", summary="List reports", operation_id="list_reports", dependencies=[needs("search")])
def list_reports(name: str, caller: Asking, service: Held) -> dict[str, list[ReportShown]]:
    """Those that are kept, the oldest first. A job of the kind `report` makes one. Those made from what
    people said are for keys that may judge.
    """
    found = past_reports(caller, service.location, service.collection(name))
    return {"reports": [ReportShown(**vars(one)) for one in found]}


@router.get(
    "/tuning",
    summary="List what was tuned",
    operation_id="list_tuning",
    dependencies=[needs("search")],
)
def list_tuning(name: str, caller: Asking, service: Held) -> dict[str, list[Tuned]]:
    """Every tune, the oldest first, with what was tried and the gate's report, whose questions are told to
    keys that may judge.
    """
    runs = list_runs(caller, service.location, service.collection(name))
    return {"tuning": [Tuned.model_validate(vars(run)) for run in runs]}


@router.get(
    "/gate",
    summary="List tests of candidates",
    operation_id="list_tests",
    dependencies=[needs("search")],
)
def list_tests(name: str, caller: Asking, service: Held) -> dict[str, list[Tested]]:
    """Every test by the gate, the oldest first: each look spends a part of what chance is allowed."""
    looks = list_looks(caller, service.location, service.collection(name))
    return {"tests": [Tested.model_validate(vars(look)) for look in looks]}


@router.get(
    "/{number}",
    summary="Read a report",
    operation_id="get_report",
    dependencies=[needs("search")],
    responses={
        200: {
            "description": "As `format` asks.",
            "content": {media: {"schema": {}} for media in _MEDIA.values()},
        }
    },
)
def get_report(
    name: str,
    number: Annotated[int, Path(ge=1, le=999_999)],
    caller: Asking,
    service: Held,
    format: Annotated[Literal["json", "html", "md"], Query()] = "json",
) -> Response:
    """Everything that it says: systems with their metrics and intervals, differences, and answers side by
    side. One made from what people said needs the right to judge.
    """
    report = read_report(caller, service.location, service.collection(name), number)
    if format == "json":
        return json_response(report.to_dict())
    return Response(render(report, format), media_type=_MEDIA[format], headers=_SANDBOX)
