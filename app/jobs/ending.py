"""Ending the process of a job from outside."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine

from app.jobs.model import Job
from app.jobs.place import JobsPlace
from indexing.catalog.postgres import WriterLock
from indexing.errors import BadInput, LockedError
from indexing.storage.files import FolderLock

__all__ = ["kill_worker"]

_KILL_SECONDS = 10.0


def kill_worker(engine: Engine, place: JobsPlace, job: Job) -> FolderLock | WriterLock:
    """End the process that holds the job's lock; returns the lock.

    Raises:
        BadInput: the process is none of this host's.
        LockedError: it does not end.
    """
    if job.pid is None or not _may_be_worker(job.pid):
        raise BadInput(
            f"job {job.id} is process {job.pid} on {job.host}, not seen from here: cancel it there"
        )
    with suppress(ProcessLookupError):
        os.kill(job.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    lock = place.take_lock(engine, job.id, _KILL_SECONDS)
    if lock is None:
        raise LockedError(f"process {job.pid} of job {job.id} was killed and does not end")
    return lock


def _may_be_worker(pid: int) -> bool:
    """False for another program: a container may see the name of this host and other numbers."""
    command = Path(f"/proc/{pid}/cmdline")
    with suppress(OSError):
        return b"app.jobs.worker" in command.read_bytes()
    return not command.parents[1].is_dir()  # a system without /proc tells nothing
