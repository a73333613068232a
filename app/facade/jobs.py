"""Long work in processes of its own: started here, it goes on when its caller is gone.

    job = start_job(location, "index", index.describe("notes", [folder], IndexChoices()))
    find_job(location, job.id).state

What they do stands in `app.jobs`; the state is one table beside the collections.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

from app.errors import NotFound
from app.facade.caller import Caller, require
from app.facade.telling import right_of, tell_job
from app.facade.who import login_name
from app.jobs.beat import ALIVE_SECONDS, Beat, last_beat
from app.jobs.ending import kill_worker
from app.jobs.kinds import KINDS
from app.jobs.log import read_tail
from app.jobs.model import CANCELLED, DONE, INTERRUPTED, QUEUED, RUNNING, Job
from app.jobs.place import JobsPlace, jobs_place
from app.jobs.queue import spawn, startable, wake
from app.jobs.table import adopt, change, insert, open_jobs, read_jobs
from app.jobs.worker import ALONE
from app.settings import JOBS_VARIABLE, Location, jobs_at_once
from indexing.catalog.database import writing
from indexing.errors import BadInput, StorageError
from indexing.faults import point
from indexing.storage.paths import is_there

__all__ = [
    "Job",
    "cancel_job",
    "find_job",
    "jobs_are_known",
    "list_jobs",
    "read_log",
    "resume_job",
    "right_of",
    "run_queue",
    "start_job",
    "worker_is_there",
    "worker_lives_here",
]

_START_SECONDS = 10.0  # a process that was started has taken its job by then, or never will
_LOOK_SECONDS = 1.0
_STOP_SECONDS = 8.0  # containers are killed ten seconds after they were asked to end


def start_job(
    location: Location, kind: str, arguments: dict[str, Any], *, caller: Caller | None = None
) -> Job:
    """Queue a job, and start it if there is room; the home becomes one that this machine knows. `caller` is
    whoever gives it, by default the person whose process this is; what they may do is for the function to
    check that knows what the job is for.

    Raises:
        BadInput: there is no such kind.
        StorageError: the table cannot be written.
    """
    if kind not in KINDS:
        raise BadInput(f"kind of job {kind!r}: use one of {', '.join(KINDS)}")
    jobs_at_once()  # a wrong setting is told before there is a job
    place = jobs_place(location)
    with open_jobs(place) as engine:
        with writing(engine) as connection:
            adopt(connection, place)
            job = insert(connection, kind, arguments, login_name() if caller is None else caller.name)
        point("job.row")
        wake(engine, place)
        point("job.spawn")
        return job


def list_jobs(location: Location, *, caller: Caller | None = None) -> list[Job]:
    """Every job of a home that concerns a collection which the caller may use, the oldest first. A job whose
    process died is an interrupted one from here on, and one whose turn it is and that nobody started is
    started. Of each is told what the caller may see (`app.facade.telling`).

    Raises:
        NotAllowed: the caller may not search.
    """
    _require(caller, "search")
    place = jobs_place(location)
    if not is_there(place.database):
        return []
    with open_jobs(place) as engine:
        wake(engine, place, waited=_START_SECONDS)
        jobs = read_jobs(engine, place)
    return [tell_job(job, caller) for job in jobs if caller is None or caller.may_use(job.collection)]


def jobs_are_known(location: Location) -> bool:
    """False where queued jobs wait to be named, because somebody else's home was copied here."""
    return jobs_place(location).is_known()


def worker_is_there(location: Location) -> bool:
    """Whether queued jobs are started: by this process, or by a `stlib worker` that said so a moment ago."""
    return jobs_at_once() > 0 or _is_recent(last_beat(jobs_place(location)))


def worker_lives_here(location: Location) -> bool:
    """Whether a `stlib worker` on this host said a moment ago that it lives."""
    return _is_recent(last_beat(jobs_place(location), socket.gethostname()))


def _is_recent(seconds: float | None) -> bool:
    return seconds is not None and seconds < ALIVE_SECONDS


def find_job(location: Location, id_: int, *, caller: Caller | None = None) -> Job:
    """
    Raises:
        NotAllowed: the caller may not search.
        NotFound: there is none of this number that the caller may see; the message says which there are.
    """
    return _pick(list_jobs(location, caller=caller), id_)


def cancel_job(location: Location, id_: int, *, force: bool = False, caller: Caller | None = None) -> Job:
    """End a job. One that runs ends after its next commit and keeps what it committed; with `force` its
    process is killed.

    Raises:
        NotAllowed: the caller may not do what the job does.
        BadInput: it has ended already, or must be killed on another machine.
        LockedError: its process was killed and does not end.
    """
    job, place = find_job(location, id_, caller=caller), jobs_place(location)
    _require(caller, right_of(job.kind), job.collection)
    with open_jobs(place) as engine:
        changed = None
        while changed is None:  # it may start or end at this moment
            job = _pick(read_jobs(engine, place), id_)
            if job.finished and job.state != INTERRUPTED:
                raise BadInput(f"job {id_} is {job.state}: there is nothing to cancel")
            if job.state == RUNNING and not force:
                changed = change(engine, job, cancel_requested=True)
                continue
            if job.state == RUNNING and job.host != socket.gethostname():
                _require_worker(place, job)
                changed = change(engine, job, state=CANCELLED, token=job.token + 1, ended=time.time())
                continue
            # Killed before anything is written: a stopped process may be in the middle of writing itself.
            with kill_worker(engine, place, job) if job.state == RUNNING else nullcontext():
                token = job.token + 1
                changed = change(engine, job, state=CANCELLED, token=token, ended=time.time())
        wake(engine, place)
        return tell_job(_pick(read_jobs(engine, place), id_), caller)


def resume_job(location: Location, id_: int, *, caller: Caller | None = None) -> Job:
    """Queue a job again that was interrupted, cancelled, or failed; the home becomes one that this machine
    knows.

    Raises:
        NotAllowed: the caller may not do what the job does.
        BadInput: it runs, or is done.
    """
    job, place = find_job(location, id_, caller=caller), jobs_place(location)
    _require(caller, right_of(job.kind), job.collection)
    begun = {"done": 0, "total": None, "started": None, "ended": None, "cancel_requested": False, "error": ""}
    with open_jobs(place) as engine:
        with writing(engine) as connection:
            adopt(connection, place)
        job = _pick(read_jobs(engine, place), id_)
        if job.state in (RUNNING, DONE):
            raise BadInput(f"job {id_} is {job.state}: there is nothing to resume")
        job = change(engine, job, state=QUEUED, updated=time.time(), **begun) or job
        wake(engine, place)
        return tell_job(job, caller)


def run_queue(location: Location, *, once: bool = False) -> Iterator[Job]:
    """Each job after it ran. With `once` it ends when none is left.

    Raises:
        BadInput: the home has jobs and this machine does not know it, or this process may run none.
        StorageError: a process ends before it has begun its job.
    """
    if not jobs_at_once():
        raise BadInput(f"{JOBS_VARIABLE} is 0, so that no job is run here: give a worker 1 or more")
    place = jobs_place(location)
    beat = Beat(place)
    try:
        yield from _run_queue(place, beat, once)
    finally:
        beat.end()


def _run_queue(place: JobsPlace, beat: Beat, once: bool) -> Iterator[Job]:
    with open_jobs(place) as engine:
        if not place.is_known():
            if jobs := read_jobs(engine, place):
                raise BadInput(
                    f"{place.database} came from elsewhere, and its {len(jobs)} jobs are not run:"
                    " name those to run with `stlib jobs resume ID`"
                )
            with writing(engine) as connection:
                adopt(connection, place)
        while True:
            beat()
            queued = startable(engine, place)
            if queued:
                process = spawn(place, queued[0].id, ALONE)
                code = _wait(process, beat, partial(read_jobs, engine, place), queued[0].id)
                job = _pick(read_jobs(engine, place), queued[0].id)
                if job.state == QUEUED and code:
                    raise StorageError(f"job {job.id} could not begin: `stlib jobs log {job.id}` says why")
                if job.finished:  # otherwise another process was faster
                    yield job
            elif once:
                return
            else:
                time.sleep(_LOOK_SECONDS)


def read_log(location: Location, id_: int, *, caller: Caller | None = None) -> list[str]:
    """The last lines that a job wrote, as it wrote them: text from documents and names of files may be in
    them.

    Raises:
        NotAllowed: the caller may not do what the job does.
        NotFound: there is none of this number that the caller may see.
    """
    job = find_job(location, id_, caller=caller)
    _require(caller, right_of(job.kind), job.collection)
    return read_tail(jobs_place(location).log(job.id))


def _require(caller: Caller | None, right: str, collection: str | None = None) -> None:
    if caller is not None:
        require(caller, right, collection)


def _pick(jobs: list[Job], id_: int) -> Job:
    for job in jobs:
        if job.id == id_:
            return job
    known = ", ".join(str(job.id) for job in jobs[-20:]) or "none yet"
    raise NotFound(f"no job {id_}; there are: {known}")


def _require_worker(place: JobsPlace, job: Job) -> None:
    """The worker of another host, as in another container, ends the process of a job that is its no more.

    Raises:
        BadInput: no worker lives there.
    """
    if not _is_recent(last_beat(place, job.host)):
        raise BadInput(
            f"job {job.id} is process {job.pid} on {job.host}, not seen from here: cancel it there"
        )


def _lost(job: Job, pid: int) -> bool:
    """Whether the job that process `pid` took was cancelled, maybe by one who cannot reach the process."""
    return job.pid == pid and job.state == CANCELLED


def _wait(process: subprocess.Popen[bytes], beat: Beat, read: Callable[[], list[Job]], id_: int) -> int:
    """Until it ends; it is ended when this process is, or when job `id_`, which it took, is lost to it."""
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_LOOK_SECONDS)
            beat()
            if _lost(_pick(read(), id_), process.pid):
                process.kill()
    except BaseException:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
