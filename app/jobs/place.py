"""Where the jobs of a home are kept.

    HOME/jobs.sqlite      the table
    HOME/jobs/ID.log      the end of what a job wrote
    HOME/jobs/ID.lock     held by its worker while that lives
    HOME/jobs/.home-id    by which this machine knows the jobs again: see `indexing.storage.homes`

With a database URL they stand beside that file, as FILE.jobs.sqlite and FILE.jobs/.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from app.settings import Location
from indexing.errors import LockedError
from indexing.storage.files import FolderLock
from indexing.storage.paths import database_path, home_folder

__all__ = ["JobsPlace", "jobs_place"]


@dataclass(frozen=True)
class JobsPlace:
    """`location` is absolute: it names the same place from any working folder."""

    location: Location
    database: Path
    folder: Path

    def log(self, job: int) -> Path:
        return self.folder / f"{job}.log"

    def take_lock(self, job: int, wait: float = 0.0) -> FolderLock | None:
        """The lock of a job; None while its worker lives, for `wait` seconds. One who dies loses it."""
        deadline = time.monotonic() + wait
        while True:
            try:
                return FolderLock(self.folder, f"{job}.lock", f"job {job}").acquire()
            except LockedError:
                if time.monotonic() >= deadline:
                    return None
                time.sleep(0.02)


def jobs_place(location: Location) -> JobsPlace:
    """
    Raises:
        StorageError: the database URL is none of SQLite.
    """
    if location.db is None:
        home = home_folder(location.home).absolute()
        return JobsPlace(Location(home), home / "jobs.sqlite", home / "jobs")
    path = database_path(location.db).absolute()
    folder = path.with_name(path.name + ".jobs")
    return JobsPlace(Location(db=f"sqlite:///{path}"), folder.with_name(folder.name + ".sqlite"), folder)
