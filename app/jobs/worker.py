"""The process of one job: `python -m app.jobs.worker ID [--alone]`, with the place in STLIB_HOME or STLIB_DB.

While it lives it holds the job's lock, which the system frees when it dies. When it took the job it got a
token; what it says is written only while that is the last one, and it ends at once when it is not.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from importlib import import_module
from typing import Any

from sqlalchemy import Engine

from app.jobs.kinds import KINDS
from app.jobs.log import trim_log
from app.jobs.model import CANCELLED, DONE, FAILED, INTERRUPTED, Job
from app.jobs.place import JobsPlace, jobs_place
from app.jobs.queue import wake
from app.jobs.table import TokenLost, open_jobs, take, write
from app.settings import Location, jobs_at_once
from app.text import without_milvus
from indexing.documents.storable import storable_text
from indexing.errors import ConnectionLost, IndexingError
from indexing.faults import point
from stlib.runtime.errors import ModelError

__all__ = ["ALONE", "Cancelled", "Report", "main", "run_job"]

logger = logging.getLogger(__name__)

ALONE = "--alone"
_LOCK_SECONDS = 2.0  # somebody who looks whether the worker lives holds its lock for an instant
_REPORT_SECONDS = 0.25
_AWAY_SECONDS = 60.0  # a server that is restarted is back by then
_AGAIN_SECONDS = 0.25


class Cancelled(BaseException):
    """Somebody asked to end the job; no `except Exception` of the work may keep it going."""


class Report:
    """What running work calls after each of its commits. It does not return when the work shall end."""

    def __init__(self, engine: Engine, place: JobsPlace, job: Job) -> None:
        self._engine = engine
        self._log = place.log(job.id)
        self._job = job
        self._said = 0.0

    @property
    def is_first(self) -> bool:
        """Whether no worker was at this job before: the first one's token is 1."""
        return self._job.token == 1

    @property
    def created(self) -> float:
        """When somebody asked for the job."""
        return self._job.created

    def __call__(self, done: int, total: int | None = None, unit: str = "") -> None:
        """So many of `total` (None: unknown) are safe. Raises Cancelled, TokenLost."""
        point("job.before-progress")
        self._write(done=done, total=total, unit=unit)
        point("job.after-progress")

    def now_and_then(self, done: int, total: int | None = None, unit: str = "") -> None:
        """For work that commits nothing and counts fast: what comes too soon is left out."""
        if done == total or time.monotonic() - self._said > _REPORT_SECONDS:
            self(done, total, unit)

    def check(self) -> None:
        """For a commit with nothing to count. Raises Cancelled, TokenLost."""
        self._write()

    def _write(self, **values: Any) -> None:
        self._said = time.monotonic()
        self._job = write(self._engine, self._job, **values)
        trim_log(self._log)
        if self._job.cancel_requested:
            raise Cancelled


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    for one in (logger, logging.getLogger("app")):  # what a kind of job tells belongs into its log
        one.setLevel(logging.INFO)
    run_job(Location.from_environment(), int(sys.argv[1]), alone=ALONE in sys.argv)


def run_job(location: Location, id_: int, *, alone: bool = False) -> Job | None:
    """Run a queued job in this process; then let the next one start, unless `alone`. None if it was not run:
    another worker has it, or as many run as may.
    """
    place = jobs_place(location)
    with open_jobs(place) as engine:
        lock = place.take_lock(engine, id_, _LOCK_SECONDS)
        if lock is None:
            return None
        with lock:
            point("job.lock")
            job = take(engine, id_, jobs_at_once())
            if job is None:
                return None
            point("job.token")
            job, unsaid = _run(engine, place, job)
        if unsaid:
            job = _say_end(engine, job, unsaid)
        if not alone and job.state != INTERRUPTED:
            wake(engine, place)
        return job


def _run(engine: Engine, place: JobsPlace, job: Job) -> tuple[Job, dict[str, Any]]:
    """The job as it ended, and of its end what could not be written as the server is away."""
    logger.info("begun: %s %s", job.kind, job.collection)
    values: dict[str, Any] = {}
    try:
        values = _outcome(engine, place, job)
        point("job.before-result")
        job = write(engine, job, ended=time.time(), **values)
        point("job.after-result")
        logger.info("%s%s", job.state, f": {job.error}" if job.error else "")
        values = {}
    except TokenLost as lost:
        logger.warning("stopped: %s", lost)
    except ConnectionLost as lost:
        logger.warning("%s", lost)
    trim_log(place.log(job.id))
    return job, values


def _say_end(engine: Engine, job: Job, values: dict[str, Any]) -> Job:
    """Writes how it ended once the server is back, unless it was taken for dead and begun again meanwhile."""
    until = time.monotonic() + _AWAY_SECONDS
    while True:
        try:
            return write(engine, job, ended=time.time(), **values)
        except TokenLost as lost:
            logger.warning("stopped: %s", lost)
            return job
        except ConnectionLost:
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN_SECONDS)


def _outcome(engine: Engine, place: JobsPlace, job: Job) -> dict[str, Any]:
    try:
        run = import_module(KINDS[job.kind]).run
        result = run(place.location, job.arguments, Report(engine, place, job))
        return {"state": DONE, "result": without_milvus(result)}
    except Cancelled:
        return {"state": CANCELLED}
    except KeyboardInterrupt:
        return {"state": INTERRUPTED, "error": "it was stopped"}
    except TokenLost:
        raise
    except BaseException as error:
        logger.exception("failed")
        expected = isinstance(error, (IndexingError, ModelError, OSError))
        unexpected = f"unexpected {type(error).__name__}: {error} (its log says where)"
        said = without_milvus(str(error) if expected else unexpected)
        return {"state": FAILED, "error": storable_text(said)}


if __name__ == "__main__":
    main()
