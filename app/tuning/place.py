"""Where tuning keeps its records: HOME/tuning.sqlite, or beside a `--db` file as FILE.tuning.sqlite."""

from __future__ import annotations

from pathlib import Path

from app.settings import Location
from indexing.storage.paths import database_path, home_folder

__all__ = ["tuning_database"]


def tuning_database(location: Location) -> Path:
    """
    Raises:
        StorageError: the database URL is none of SQLite.
    """
    if location.db is None:
        return home_folder(location.home).absolute() / "tuning.sqlite"
    path = database_path(location.db).absolute()
    return path.with_name(path.name + ".tuning.sqlite")
