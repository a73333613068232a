"""Running queued jobs one after the other, each in a process that ends with this one."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from app.jobs.model import Job
from app.jobs.place import jobs_place
from app.jobs.queue import spawn, startable
from app.jobs.table import adopt, open_jobs, read_jobs
from app.jobs.worker import ALONE
from app.settings import Location
from indexing.catalog.database import writing
from indexing.errors import BadInput
from indexing.storage.homes import home_is_known

__all__ = ["run_queue"]

_LOOK_SECONDS = 1.0
_STOP_SECONDS = 8.0  # containers are killed ten seconds after they were asked to end


def run_queue(location: Location, *, once: bool = False) -> Iterator[Job]:
    """Each job after it ran. With `once` it ends when none is left.

    Raises:
        BadInput: the home has jobs and this machine does not know it.
    """
    place = jobs_place(location)
    with open_jobs(place) as engine:
        if not home_is_known(place.folder):
            if jobs := read_jobs(engine, place):
                raise BadInput(
                    f"{place.database} came from elsewhere, and its {len(jobs)} jobs are not run:"
                    " name those to run with `stlib jobs resume ID`"
                )
            with writing(engine) as connection:
                adopt(connection, place)
        while True:
            queued = startable(engine, place)
            if queued:
                _wait(spawn(place, queued[0].id, ALONE))
                yield from (job for job in read_jobs(engine, place) if job.id == queued[0].id)
            elif once:
                return
            else:
                time.sleep(_LOOK_SECONDS)


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Until it ends; it is ended when this process is."""
    try:
        process.wait()
    except BaseException:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
