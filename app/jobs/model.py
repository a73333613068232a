"""What a job is, and its states."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

__all__ = ["CANCELLED", "DONE", "FAILED", "INTERRUPTED", "QUEUED", "RUNNING", "STATES", "Job"]

QUEUED, RUNNING, DONE = "queued", "running", "done"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
STATES = (QUEUED, RUNNING, DONE, FAILED, CANCELLED, INTERRUPTED)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One row of the table, as it was when it was read. Times are seconds since 1970.

    `token` rises whenever a worker takes the job or is found dead; only the worker with the last one may
    write. `total` is None while nobody knows it. `pid` and `host` are the worker's, `who` gave the job.
    """

    id: int
    kind: str
    collection: str
    arguments: dict[str, Any]
    state: str = QUEUED
    done: int = 0
    total: int | None = None
    unit: str = ""
    token: int = 0
    cancel_requested: bool = False
    created: float
    started: float | None = None
    updated: float
    ended: float | None = None
    who: str = ""
    pid: int | None = None
    host: str = ""
    result: dict[str, Any] | None = None
    error: str = ""

    @property
    def finished(self) -> bool:
        """True when no worker has it or will take it by itself."""
        return self.state not in (QUEUED, RUNNING)

    @property
    def rate(self) -> float:
        """Units per second since it was started the last time; 0 before the first are done."""
        seconds = self.updated - self.started if self.started is not None else 0.0
        return self.done / seconds if seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """None when it does not run, or nobody knows."""
        if self.state != RUNNING or self.total is None or not self.rate:
            return None
        return max(0, self.total - self.done) / self.rate

    def to_dict(self) -> dict[str, Any]:
        """JSON values; times in ISO 8601, UTC."""
        times = {name: _iso(getattr(self, name)) for name in ("created", "started", "updated", "ended")}
        return {**asdict(self), **times, "rate": self.rate, "seconds_left": self.seconds_left}


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()
