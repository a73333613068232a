"""Taking documents out of what jobs were given, wrote and found."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from app.jobs.model import QUEUED, RUNNING, Job
from app.jobs.place import JobsPlace, jobs_place
from app.jobs.table import JOBS, open_jobs, read_jobs
from app.settings import Location
from indexing.catalog.database import map_errors, writing
from indexing.catalog.dialect import dialect_of
from indexing.storage.paths import ServerDatabase, is_there

__all__ = ["ERASED", "Forgotten", "forget_in_jobs"]

ERASED = "(erased)"
"""Stands where a text was that named a document."""

IsWanted = Callable[[str], bool]

_FEWEST = 6
"""Characters of a name that is looked for within texts; a shorter one is no more than a syllable, and counts
where it is the whole text.
"""


@dataclass(frozen=True)
class Forgotten:
    """How many jobs lost something; those that have yet to end and may name a document then; why old bytes
    may still be in the table, or None; and by host, how many logs lie on others.
    """

    changed: int = 0
    unended: Sequence[Job] = ()
    why: str | None = None
    elsewhere: Mapping[str, int] = field(default_factory=dict)


def forget_in_jobs(
    location: Location, collection: str, names: Collection[str], paths: Collection[str]
) -> Forgotten:
    """Removes the logs of ended jobs of a collection, which may quote any document. Puts `ERASED` in place of
    texts with one of `names` (ids, titles) or `paths` in what came of them, of `paths` in what they were
    given.

    A log lies on the host that worked: those of other hosts are named, and stay.
    """
    place = jobs_place(location)
    if not is_there(place.database):
        return Forgotten()
    with open_jobs(place) as engine:
        jobs = [job for job in read_jobs(engine, place) if job.collection == collection]
        in_results, in_arguments = _finder({*names, *paths}), _finder(paths)
        changed, elsewhere = 0, Counter[str]()

        def in_arguments_of(job: Job) -> bool:
            return bool(_blank(job.arguments, in_arguments) != job.arguments)

        with writing(engine) as connection:
            for job in jobs:
                if job.finished:
                    elsewhere[job.host] += _is_elsewhere(place, job)
                    changed += _forget_in(connection, place, job, in_results, in_arguments)
        with map_errors(engine):
            why = dialect_of(engine).scrub(engine, [JOBS.name])
    unended = [one for one in jobs if one.state == RUNNING or (one.state == QUEUED and in_arguments_of(one))]
    return Forgotten(changed, unended, why, {host: count for host, count in elsewhere.items() if count})


def _is_elsewhere(place: JobsPlace, job: Job) -> bool:
    """Whether another host has its log, of which only a server's database tells here."""
    if not isinstance(place.database, ServerDatabase) or job.host in ("", socket.gethostname()):
        return False
    return not place.log(job.id).exists()


def _forget_in(
    connection: sa.Connection, place: JobsPlace, job: Job, in_results: IsWanted, in_arguments: IsWanted
) -> bool:
    log = place.log(job.id)
    had_log = log.exists() or log.is_symlink()
    log.unlink(missing_ok=True)
    values = {
        "arguments": _blank(job.arguments, in_arguments),
        "result": _blank(job.result, in_results),
        "error": _blank(job.error, in_results),
    }
    same = {name: getattr(job, name) for name in values}
    if values == same:
        return had_log
    connection.execute(sa.update(JOBS).where(JOBS.c.id == job.id).values(values))
    return True


def _finder(names: Collection[str]) -> IsWanted:
    whole = frozenset(names)
    parts = [name for name in whole if len(name) >= _FEWEST]
    return lambda text: text in whole or any(part in text for part in parts)


def _blank(said: Any, is_wanted: IsWanted) -> Any:
    if isinstance(said, str):
        return ERASED if is_wanted(said) else said
    if isinstance(said, dict):  # names of fields are ours, and so is that of the collection
        return {
            name: value if name == "collection" else _blank(value, is_wanted) for name, value in said.items()
        }
    return [_blank(one, is_wanted) for one in said] if isinstance(said, list) else said
