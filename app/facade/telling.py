"""What of a record the caller may see: questions of people, results, and names of files are not for everyone
who may search.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.facade.caller import Caller

if TYPE_CHECKING:
    from app.jobs.model import Job
    from app.tuning.runs import Look, Run

__all__ = ["may_see_outcome", "right_of", "tell_job", "tell_look", "tell_run"]

# Parts of the gate's report that hold what people asked.
_QUESTIONS: dict[str, tuple[object, ...]] = {"questions": (), "to_judge": ()}


def right_of(kind: str) -> str:
    """What one must be allowed to do to stop or resume a job of this kind, and to read what came of it."""
    return "improve" if kind in ("evaluate", "report", "tune") else "manage"


def may_see_outcome(caller: Caller, job: Job) -> bool:
    """Whether the caller may see the result, the error and the log of a job: names of files, and text of
    documents, stand in them.
    """
    return right_of(job.kind) in caller.rights


def tell_job(job: Job, caller: Caller | None) -> Job:
    """Arguments are for those who manage, results and errors for those who may stop the job."""
    if caller is None:
        return job
    if not may_see_outcome(caller, job):
        job = replace(job, result=None, error="")
    return job if "manage" in caller.rights else replace(job, arguments={})


def tell_run(run: Run, caller: Caller) -> Run:
    """Questions of people are for those who judge."""
    if run.gate is None or "judge" in caller.rights:
        return run
    return replace(run, gate=run.gate | _QUESTIONS)


def tell_look(look: Look, caller: Caller) -> Look:
    """As `tell_run`."""
    if look.report is None or "judge" in caller.rights:
        return look
    return replace(look, report=look.report | _QUESTIONS)
