"""Learning from judgments in a process of its own."""

from __future__ import annotations

from pathlib import Path

from app.facade.caller import Caller, require
from app.facade.jobs import Job, start_job
from app.jobs.kinds.tune import describe
from app.settings import Location
from app.tuning.gate.guard import read_guard

__all__ = ["start_tuning"]


def start_tuning(
    caller: Caller,
    location: Location,
    name: str,
    lever: str = "auto",
    promote: str = "never",
    guard: Path | None = None,
) -> Job:
    """Queues a job that does what `app.facade.tuning.tune` does.

    Raises:
        NotAllowed: the caller may not improve.
        BadInput: an unknown lever, or a guard that cannot be read.
    """
    require(caller, "improve", name)
    if guard is not None:
        read_guard(guard)
    return start_job(location, "tune", describe(caller, name, lever, promote, guard))
