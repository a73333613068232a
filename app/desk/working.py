"""Jobs: those of the collections that the caller may use."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.desk.visit import Visit
from app.facade import jobs as facade
from app.facade.caller import require
from app.facade.jobs import Job

__all__ = ["Jobs", "cancel", "jobs", "log", "resume", "tell_job", "without_places"]


@dataclass(frozen=True)
class Jobs:
    """The oldest first. Where the home is not `known`, what is queued waits to be named; without a `worker`
    it waits for one.
    """

    jobs: list[Job]
    known: bool
    worker: bool


def jobs(visit: Visit) -> Jobs:
    mine = facade.list_jobs(visit.location, caller=visit.caller)
    return Jobs(
        [tell_job(job, visit) for job in mine],
        facade.jobs_are_known(visit.location),
        facade.worker_is_there(visit.location),
    )


def log(visit: Visit, number: int) -> list[str]:
    """The last lines that a job wrote, for those who may stop it."""
    _check(visit, number)
    return facade.read_log(visit.location, number, caller=visit.caller)


def cancel(visit: Visit, number: int, force: bool) -> Job:
    _check(visit, number)
    return tell_job(facade.cancel_job(visit.location, number, force=force, caller=visit.caller), visit)


def resume(visit: Visit, number: int) -> Job:
    _check(visit, number)
    return tell_job(facade.resume_job(visit.location, number, caller=visit.caller), visit)


def without_places(job: Job) -> Job:
    """A job as it is told elsewhere: without folders of this machine, and where its process is."""
    return replace(job, arguments={}, pid=None, host="")


def tell_job(job: Job, visit: Visit) -> Job:
    """A job for whoever asks."""
    return job if visit.here else without_places(job)


def _check(visit: Visit, number: int) -> None:
    """
    Raises:
        NotAllowed: the job is of a collection that the caller may not use.
        BadInput: there is no such job.
    """
    require(visit.caller, "search", facade.find_job(visit.location, number).collection)
