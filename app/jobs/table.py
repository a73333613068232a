"""The table of jobs, and every statement that reads or changes it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from app.jobs.model import INTERRUPTED, QUEUED, RUNNING, STATES, Job
from app.jobs.place import JobsPlace
from indexing.catalog.database import reading, writing
from indexing.catalog.side_database import open_side_database
from indexing.catalog.types import NUMBER
from indexing.errors import StorageError
from indexing.storage.files import make_own_folder
from indexing.storage.homes import remember_home
from indexing.storage.machine import STATE_VARIABLE, state_folder

__all__ = ["TokenLost", "adopt", "change", "insert", "open_jobs", "read_jobs", "take", "write"]

VERSION = 1
_METADATA = sa.MetaData()
# Columns by the types of a job's fields: what SQLite holds, what may come back, and the largest such number.
_TYPES: dict[str, tuple[Any, Any, float | None]] = {
    "int": (NUMBER, int, 2**53),
    "float": (sa.Float, (int, float), 1e11),  # seconds until the year 5138
    "str": (sa.Text, str, None),
    "bool": (sa.Boolean, bool, 1),
    "dict[str, Any]": (sa.JSON(none_as_null=True), dict, None),
}


_FIELDS = [(f.name, *_TYPES[str(f.type).removesuffix(" | None")], "None" in str(f.type)) for f in fields(Job)]

# A row is a `Job`. A number is never used again (autoincrement): the log and the lock have it in their names.
_COLUMNS = [sa.Column(name, kind, primary_key=name == "id", nullable=opt) for name, kind, *_, opt in _FIELDS]
JOBS = sa.Table("job", _METADATA, *_COLUMNS, sqlite_autoincrement=True)


class TokenLost(BaseException):
    """Another worker has the job now. No `except Exception` of the work may keep the old one going."""


@contextmanager
def open_jobs(place: JobsPlace) -> Iterator[sa.Engine]:
    """The database, for one use. Raises StorageError if a newer release wrote it."""
    engine = open_side_database(place.database, _METADATA, VERSION, "jobs")
    try:
        yield engine
    finally:
        engine.dispose()


def insert(connection: sa.Connection, kind: str, arguments: dict[str, Any], who: str) -> Job:
    now, name = time.time(), arguments.get("collection", "")
    job = Job(id=0, kind=kind, collection=name, arguments=arguments, created=now, updated=now, who=who)
    values = {field: value for field, value in vars(job).items() if field != "id"}
    return _job(connection.execute(JOBS.insert().values(values).returning(JOBS)).one())


def read_jobs(engine: sa.Engine, place: JobsPlace) -> list[Job]:
    """All jobs in the order they were given. One that says it runs and whose worker is dead is made an
    interrupted one here: whoever looks, notices.

    Raises:
        StorageError: a row is none of ours.
    """
    try:
        with reading(engine) as connection:
            jobs = [_job(row) for row in connection.execute(sa.select(JOBS).order_by(JOBS.c.id))]
    except (ValueError, TypeError, RecursionError) as error:
        raise StorageError(
            f"{place.database} is damaged ({error}): move it away to begin anew; no collection needs it"
        ) from error
    dead = [_note_death(engine, place, job) for job in jobs if job.state == RUNNING]
    return read_jobs(engine, place) if any(dead) else jobs


def _note_death(engine: sa.Engine, place: JobsPlace, job: Job) -> bool:
    """Whether the worker of a running job is gone."""
    lock = place.take_lock(engine, job.id)
    if lock is None:
        return False
    with lock:
        why = f"its process ({job.pid} on {job.host}) ended without a word"
        change(engine, job, state=INTERRUPTED, token=job.token + 1, ended=time.time(), error=why)
    return True


def change(engine: sa.Engine, job: Job, **values: Any) -> Job | None:
    """The job with `values`, if it has still the state and the token that `job` says; else None."""
    same = (JOBS.c.id == job.id) & (JOBS.c.token == job.token) & (JOBS.c.state == job.state)
    return _update(engine, same, values)


def write(engine: sa.Engine, job: Job, **values: Any) -> Job:
    """What a worker says of its job.

    Raises:
        TokenLost: the job is not its own any more; nothing was written.
    """
    changed = change(engine, job, updated=time.time(), **values)
    if changed is None:
        raise TokenLost(f"job {job.id} is not this worker's any more")
    return changed


def take(engine: sa.Engine, id_: int, at_once: int) -> Job | None:
    """Make a queued job a running one of this process, which holds its lock; None if it is not queued, or
    `at_once` jobs run already.
    """
    running = sa.select(sa.func.count()).where(JOBS.c.state == RUNNING).scalar_subquery()
    free = (JOBS.c.id == id_) & (JOBS.c.state == QUEUED) & (running < at_once)
    worker = {"pid": os.getpid(), "host": socket.gethostname()}
    now = time.time()
    return _update(
        engine, free, {"state": RUNNING, "token": JOBS.c.token + 1, "started": now, "updated": now, **worker}
    )


def adopt(connection: sa.Connection, place: JobsPlace) -> None:
    """Make the jobs known to this machine, in a transaction that writes. Those that were there before stay
    where they are until they are named: a person's word for one is not a word for those of a stranger.

    Raises:
        StorageError: the machine's own notes cannot be written.
    """
    if place.is_known():
        return
    why = "it came with a home that this machine did not know"
    strange = sa.update(JOBS).where(JOBS.c.state == QUEUED)
    connection.execute(strange.values(state=INTERRUPTED, ended=time.time(), error=why))
    make_own_folder(place.folder)
    if not remember_home(place.folder):
        raise StorageError(
            f"jobs need this machine's notes, and {state_folder()} or {place.folder} cannot be written:"
            f" set {STATE_VARIABLE} to a folder that only you can write to"
        )


def _update(engine: sa.Engine, where: Any, values: dict[str, Any]) -> Job | None:
    with writing(engine) as connection:
        row = connection.execute(sa.update(JOBS).where(where).values(**values).returning(JOBS)).one_or_none()
    return None if row is None else _job(row)


def _job(row: Any) -> Job:
    """The job in a row. Raises ValueError where something else than `write` wrote there."""
    job = Job(**row._mapping)
    for name, _, kinds, most, optional in _FIELDS:
        value = getattr(job, name)
        sound = isinstance(value, kinds) and (most is None or 0 <= value <= most)
        if not sound and not (optional and value is None):
            raise ValueError(f"job {job.id} has a {name} that is none")
    if job.state not in STATES:
        raise ValueError(f"job {job.id} has a state that is none")
    return job
