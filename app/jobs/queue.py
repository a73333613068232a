"""Starting the processes of jobs: which may start now, and how."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from sqlalchemy import Engine

from app.jobs.log import open_log, trim_log
from app.jobs.model import QUEUED, RUNNING, Job
from app.jobs.place import JobsPlace
from app.jobs.table import change, read_jobs
from app.settings import DB_VARIABLE, HOME_VARIABLE, jobs_at_once
from indexing.storage.files import make_own_folder

__all__ = ["spawn", "startable", "wake"]

_PACKAGES = Path(__file__).resolve().parents[2]  # the folder that holds `app`


def startable(engine: Engine, place: JobsPlace) -> list[Job]:
    """The queued jobs for which there is room now, the oldest first; none in a home that this machine does
    not know.
    """
    jobs = read_jobs(engine, place)
    room = jobs_at_once() - sum(job.state == RUNNING for job in jobs)
    queued = [job for job in jobs if job.state == QUEUED]
    return queued[: max(0, room)] if queued and place.is_known() else []


def wake(engine: Engine, place: JobsPlace, *, waited: float = 0.0) -> None:
    """Start what may start, unless that was done in the last `waited` seconds: a process may be coming up."""
    for job in startable(engine, place):
        tried = job.updated if job.updated > job.created else 0.0
        # The one who sets the time starts it: of two who look at once, one does.
        if time.time() - tried >= waited and change(engine, job, updated=time.time()):
            spawn(place, job.id)


def spawn(place: JobsPlace, id_: int, *options: str) -> subprocess.Popen[bytes]:
    """A process for a job, in a session of its own: it outlives the terminal, the browser and the caller."""
    environment = {k: v for k, v in os.environ.items() if k not in (HOME_VARIABLE, DB_VARIABLE)}
    make_own_folder(place.folder)
    trim_log(place.log(id_))
    with open_log(place.log(id_)) as log:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, running this package
            [sys.executable, "-m", "app.jobs.worker", str(id_), *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=_PACKAGES,  # not the caller's folder: Python would import what lies there
            env={**environment, **place.location.to_environment()},
            start_new_session=True,
        )
    threading.Thread(target=process.wait, daemon=True).start()  # leaves no zombie in a server
    return process
