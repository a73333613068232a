"""Where the jobs of a home are kept.

    HOME/jobs.sqlite      the table
    HOME/jobs/ID.log      the end of what a job wrote
    HOME/jobs/ID.lock     held by its worker while that lives
    HOME/jobs/.home-id    by which this machine knows the jobs again: see `indexing.storage.homes`

With the URL of a SQLite file they stand beside it, as FILE.jobs.sqlite and FILE.jobs/. With that of a server
the table is in its database, and logs and locks are in HOME/databases/DATABASE/jobs/ of the host that works.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from app.settings import Location
from indexing.catalog.postgres import WriterLock
from indexing.errors import LockedError
from indexing.storage.files import FolderLock
from indexing.storage.homes import home_is_known
from indexing.storage.paths import Address, ServerDatabase, side_address, side_folder

__all__ = ["JobsPlace", "jobs_place"]


@dataclass(frozen=True)
class JobsPlace:
    """`location` is absolute: it names the same place from any working folder."""

    location: Location
    database: Address
    folder: Path

    def log(self, job: int) -> Path:
        return self.folder / f"{job}.log"

    def is_known(self) -> bool:
        """False where somebody else's home was copied here. Who names a server means its jobs."""
        return isinstance(self.database, ServerDatabase) or home_is_known(self.folder)

    def take_lock(self, engine: Engine, job: int, wait: float = 0.0) -> FolderLock | WriterLock | None:
        """The lock of a job; None while its worker lives, for `wait` seconds. One who dies loses it."""
        deadline = time.monotonic() + wait
        while True:
            try:
                return self._lock(engine, job).acquire()
            except LockedError:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(0.02)

    def _lock(self, engine: Engine, job: int) -> FolderLock | WriterLock:
        """A server's is seen from every host."""
        if isinstance(self.database, ServerDatabase):
            return WriterLock(engine, f"job {job}", f"job {job}")
        return FolderLock(self.folder, f"{job}.lock", f"job {job}")


def jobs_place(location: Location) -> JobsPlace:
    """
    Raises:
        StorageError: the database URL is none.
    """
    where = location.home, location.db, "jobs"
    return JobsPlace(location.absolute(), side_address(*where), side_folder(*where))
