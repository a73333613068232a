"""Long work in processes of its own: started here, it goes on when its caller is gone.

    job = start_job(location, "index", index.describe("notes", [folder], IndexChoices()))
    find_job(location, job.id).state

The state is one table beside the collections, see `table`; `worker` says how a dead process is noticed.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine

from app.jobs.kinds import KINDS
from app.jobs.log import read_tail
from app.jobs.model import CANCELLED, DONE, INTERRUPTED, QUEUED, RUNNING, Job
from app.jobs.place import JobsPlace, jobs_place
from app.jobs.queue import wake
from app.jobs.table import adopt, change, insert, open_jobs, read_jobs
from app.settings import Location
from indexing.catalog.database import writing
from indexing.errors import BadInput, LockedError
from indexing.faults import point

__all__ = ["Job", "cancel_job", "find_job", "list_jobs", "read_log", "resume_job", "start_job"]

_START_SECONDS = 10.0  # a process that was started has taken its job by then, or never will
_KILL_SECONDS = 10.0


def start_job(location: Location, kind: str, arguments: dict[str, Any]) -> Job:
    """Queue a job, and start it if there is room; the home becomes one that this machine knows.

    Raises:
        BadInput: there is no such kind.
        StorageError: the table cannot be written.
    """
    if kind not in KINDS:
        raise BadInput(f"kind of job {kind!r}: use one of {', '.join(KINDS)}")
    place = jobs_place(location)
    with open_jobs(place) as engine:
        with writing(engine) as connection:
            adopt(connection, place)
            who = os.environ.get("USER") or os.environ.get("USERNAME", "")
            job = insert(connection, kind, arguments, who)
        point("job.row")
        wake(engine, place)
        point("job.spawn")
        return job


def list_jobs(location: Location) -> list[Job]:
    """Every job of a home, the oldest first. A job whose process died is an interrupted one from here on, and
    one whose turn it is and that nobody started is started.
    """
    place = jobs_place(location)
    if not place.database.is_file():
        return []
    with open_jobs(place) as engine:
        wake(engine, place, waited=_START_SECONDS)
        return read_jobs(engine, place)


def find_job(location: Location, id_: int) -> Job:
    """
    Raises:
        BadInput: there is none of this number; the message says which there are.
    """
    return _pick(list_jobs(location), id_)


def cancel_job(location: Location, id_: int, *, force: bool = False) -> Job:
    """End a job. One that runs ends after its next commit and keeps what it committed; with `force` its
    process is killed.

    Raises:
        BadInput: it has ended already, or must be killed on another machine.
        LockedError: its process was killed and does not end.
    """
    job, place = find_job(location, id_), jobs_place(location)
    with open_jobs(place) as engine:
        changed = None
        while changed is None:  # it may start or end at this moment
            job = _pick(read_jobs(engine, place), id_)
            if job.finished and job.state != INTERRUPTED:
                raise BadInput(f"job {id_} is {job.state}: there is nothing to cancel")
            if job.state == RUNNING:
                changed = change(engine, job, cancel_requested=True)
            else:
                changed = change(engine, job, state=CANCELLED, ended=time.time())
        if force and changed.state == RUNNING:
            changed = _kill(engine, place, changed)
        wake(engine, place)
        return changed


def resume_job(location: Location, id_: int) -> Job:
    """Queue a job again that was interrupted, cancelled, or failed; the home becomes one that this machine
    knows.

    Raises:
        BadInput: it runs, or is done.
    """
    job, place = find_job(location, id_), jobs_place(location)
    begun = {"done": 0, "total": None, "started": None, "ended": None, "cancel_requested": False, "error": ""}
    with open_jobs(place) as engine:
        with writing(engine) as connection:
            adopt(connection, place)
        job = _pick(read_jobs(engine, place), id_)
        if job.state in (RUNNING, DONE):
            raise BadInput(f"job {id_} is {job.state}: there is nothing to resume")
        job = change(engine, job, state=QUEUED, updated=time.time(), **begun) or job
        wake(engine, place)
        return job


def read_log(location: Location, id_: int) -> list[str]:
    """The last lines that a job wrote, as it wrote them: text from documents may be in them."""
    return read_tail(jobs_place(location).log(find_job(location, id_).id))


def _pick(jobs: list[Job], id_: int) -> Job:
    for job in jobs:
        if job.id == id_:
            return job
    known = ", ".join(str(job.id) for job in jobs[-20:]) or "none yet"
    raise BadInput(f"no job {id_}; there are: {known}")


def _kill(engine: Engine, place: JobsPlace, job: Job) -> Job:
    """End the process that holds the job's lock."""
    if job.pid is None or job.host != socket.gethostname():
        raise BadInput(f"job {job.id} runs on {job.host}: cancel it there")
    with suppress(ProcessLookupError):
        os.kill(job.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    deadline = time.monotonic() + _KILL_SECONDS
    while (lock := place.take_lock(job.id)) is None:
        if time.monotonic() > deadline:
            raise LockedError(f"process {job.pid} of job {job.id} was killed and does not end")
        time.sleep(0.02)
    with lock:
        killed = change(engine, job, state=CANCELLED, token=job.token + 1, ended=time.time())
    return killed or _pick(read_jobs(engine, place), job.id)
