"""Long work in processes of its own: start it, look at it, stop it, go on with it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.dependencies import Asking, Held
from app.api.errors import ERROR_ANSWERS
from app.api.service import Service
from app.evaluation_job import EvaluationChoices
from app.facade.caller import Caller, require
from app.facade.collections import start_verifying
from app.facade.jobs import Job, cancel_job, find_job, list_jobs, read_log, resume_job, right_of
from app.facade.reindex import ReindexChoices
from app.facade.reports import start_report
from app.facade.sources import start_sync
from app.facade.starting import judged_folder, start_evaluation, start_reindex
from app.facade.telling import may_see_outcome, tell_job
from app.facade.tuning_jobs import start_tuning
from app.jobs.words import say_result, say_state
from app.report.judgments import FEEDBACK
from app.report.systems import ReportChoices
from app.text import without_milvus
from indexing.names import DEFAULT_RERANK_DEPTH, Precision

__all__ = ["router"]

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=ERROR_ANSWERS)

Number = Annotated[int, Path(ge=1, le=2**53, description="The id of a job.", examples=[1])]
Name = Annotated[str, Field(min_length=1, max_length=64, examples=["notes"])]
Model = Annotated[str | None, Field(max_length=1_000)]
Mode = Literal["hybrid", "semantic", "keyword", "sparse"]
State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
Split = Annotated[str, Field(max_length=60, pattern=r"^[A-Za-z0-9_-]+$")]


class _Start(BaseModel):
    model_config = ConfigDict(extra="forbid")

    collection: Name


class Sync(_Start):
    """Read what changed in the folders that the collection was read from."""

    kind: Literal["sync"]
    prune: bool = Field(False, description="Remove documents whose files are gone.")


class Boost(BaseModel):
    model_config = ConfigDict(extra="forbid")

    filter: str = Field(max_length=20_000, examples=["year >= 2024"])
    weight: float = Field(allow_inf_nan=False, examples=[0.5])


class Reindex(_Start):
    """Change how the collection finds its answers. What is not given stays; models and rerankers are those
    that whoever runs the service allows.
    """

    kind: Literal["reindex"]
    model: Model = None
    precision: Precision | None = None
    engine: str | None = Field(None, max_length=30, examples=["faiss"])
    max_tokens: int | None = Field(None, ge=1, le=100_000, description="Of a passage.")
    overlap: int | None = Field(None, ge=0, le=100_000, description="Tokens that two passages may share.")
    reranker: Model = Field(None, description="Empty for none.")
    sparse: Model = Field(None, description="Empty for none.")
    tokens: Model = Field(None, description="Empty for none.")
    weights: dict[str, float] | None = Field(None, max_length=10, examples=[{"keyword": 0.5}])
    boosts: list[Boost] | None = Field(None, max_length=100)
    promote: bool = Field(True, description="Whether the result answers at once.")


class Evaluate(_Start):
    """Measure the collection with a set of judgments that was brought for it."""

    kind: Literal["evaluate"]
    judged_set: str = Field(min_length=1, max_length=64)
    split: Split = "test"
    modes: list[Mode] = Field([], max_length=4, description="None: all that the collection has.")
    rerank: Model = Field(None, description="Nothing: as the collection is served. Empty: none.")
    rerank_depth: int = Field(DEFAULT_RERANK_DEPTH, ge=1, le=1_000)


class Verify(_Start):
    """Check the collection; damaged views are made anew."""

    kind: Literal["verify"]


class Tune(_Start):
    """Learn from what people said: a candidate, tested by the gate."""

    kind: Literal["tune"]
    lever: Literal["auto", "ranking", "memory", "query", "reranker", "full"] = "auto"
    promote: Literal["never", "if-better"] = "never"
    guard: str | None = Field(None, max_length=64, description="A judged set that must not get worse.")


class MakeReport(_Start):
    """Compare ways of searching on judged questions."""

    kind: Literal["report"]
    judgments: str = Field(FEEDBACK, max_length=64, description="`feedback`, or the name of a judged set.")
    split: Split = "test"
    modes: list[Mode] = Field([], max_length=4)
    rerankers: list[Annotated[str, Field(max_length=1_000)]] = Field([], max_length=10)
    servings: list[int] = Field([], max_length=20)
    precisions: list[Precision] = Field([], max_length=5)


Start = Annotated[Sync | Reindex | Evaluate | Verify | Tune | MakeReport, Field(discriminator="kind")]


class JobShown(BaseModel):
    """A job. `arguments` are shown to those who manage, `result` and `error` to those who may stop it."""

    id: int
    kind: str = Field(examples=["verify"])
    collection: str = Field(examples=["notes"])
    state: State = Field(examples=["running"])
    said: str = Field(description="The state in a sentence.")
    done: int
    total: int | None = Field(description="Null while nobody knows it.")
    unit: str
    rate: float
    seconds_left: float | None
    cancel_requested: bool
    created: str
    started: str | None
    updated: str
    ended: str | None
    who: str
    result: dict[str, Any] | None = None
    result_said: list[str] = Field([], description="The result in sentences, the most important first.")
    error: str = ""
    arguments: dict[str, Any] | None = None

    @classmethod
    def of(cls, job: Job, caller: Caller) -> JobShown:
        job = tell_job(job, caller)
        told = {**job.to_dict(), "said": say_state(job), "result_said": say_result(job)}
        if not may_see_outcome(caller, job):
            told["said"] = job.state
        if "manage" not in caller.rights:
            told["arguments"] = None
        return cls(**{name: told[name] for name in cls.model_fields})


class JobList(BaseModel):
    jobs: list[JobShown] = Field(description="The newest first.")


class JobLog(BaseModel):
    lines: list[str] = Field(description="The last ones. Text of documents may be in them.")


class Cancel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    force: bool = Field(False, description="Kill its process instead of waiting for its next commit.")


@router.get("", summary="List jobs", operation_id="list_jobs")
def list_all(
    caller: Asking,
    service: Held,
    collection: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> JobList:
    """Of the collections that the key is for."""
    found = [
        job
        for job in list_jobs(service.location, caller=caller)
        if (collection is None or job.collection == collection) and (state is None or job.state == state)
    ]
    return JobList(jobs=[JobShown.of(job, caller) for job in reversed(found[-limit:])])


@router.post("", status_code=202, summary="Start a job", operation_id="start_job")
def start(body: Start, caller: Asking, service: Held, response: Response) -> JobShown:
    """By `kind`: `sync`, `reindex` and `verify` need the right to manage, `evaluate`, `tune` and `report` the
    one to improve. The answer comes at once; `Location` is where the job can be looked at.
    """
    require(caller, right_of(body.kind), body.collection)
    job = _start(body, caller, service)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return JobShown.of(job, caller)


def _start(body: Start, caller: Caller, service: Service) -> Job:
    location, settings = service.location, service.settings
    if isinstance(body, Sync):
        return start_sync(caller, location, body.collection, prune=body.prune)
    if isinstance(body, Verify):
        return start_verifying(caller, location, body.collection)
    collection = service.collection(body.collection)
    given = body.model_dump(exclude={"kind", "collection"})
    if isinstance(body, Reindex):
        choices = ReindexChoices(**given)
        return start_reindex(
            caller, location, collection, choices, models=settings.models, rerankers=settings.rerankers
        )
    if isinstance(body, Evaluate):
        judged_set = given.pop("judged_set")
        asked = EvaluationChoices(**given)
        return start_evaluation(caller, location, collection, judged_set, asked, rerankers=settings.rerankers)
    if isinstance(body, Tune):
        guard = None if body.guard is None else judged_folder(location, collection, body.guard)
        return start_tuning(caller, location, body.collection, body.lever, body.promote, guard)
    source, split = given.pop("judgments"), given.pop("split")
    if source != FEEDBACK:
        source = str(judged_folder(location, collection, source))
    return start_report(caller, location, body.collection, source, split, ReportChoices(**given))


@router.get("/{job}", summary="Describe a job", operation_id="get_job")
def get_job(job: Number, caller: Asking, service: Held) -> JobShown:
    return JobShown.of(find_job(service.location, job, caller=caller), caller)


@router.get("/{job}/log", summary="Read the log of a job", operation_id="get_job_log")
def get_log(job: Number, caller: Asking, service: Held) -> JobLog:
    """For those who may stop the job, as names of files stand in it."""
    return JobLog(lines=without_milvus(read_log(service.location, job, caller=caller)))


@router.post("/{job}/cancel", summary="Stop a job", operation_id="cancel_job")
def cancel(job: Number, caller: Asking, service: Held, body: Cancel | None = None) -> JobShown:
    """It ends after its next commit, and what it committed stays."""
    force = body is not None and body.force
    return JobShown.of(cancel_job(service.location, job, force=force, caller=caller), caller)


@router.post("/{job}/resume", summary="Go on with a job", operation_id="resume_job")
def resume(job: Number, caller: Asking, service: Held) -> JobShown:
    """One that was interrupted or cancelled, or that failed. It goes on where it was."""
    return JobShown.of(resume_job(service.location, job, caller=caller), caller)
