"""Where keys are kept: HOME/keys.sqlite, or beside a `--db` file as FILE.keys.sqlite."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from app.settings import Location
from indexing.storage.paths import database_path, home_folder

__all__ = ["KeysPlace", "keys_place"]


@dataclass(frozen=True)
class KeysPlace:
    database: Path

    @property
    def exists(self) -> bool:
        """Whether a key was ever made, or something else has taken the place of the table."""
        return os.path.lexists(self.database)


def keys_place(location: Location) -> KeysPlace:
    """
    Raises:
        StorageError: the database URL is none of SQLite.
    """
    if location.db is None:
        return KeysPlace(home_folder(location.home).absolute() / "keys.sqlite")
    path = database_path(location.db).absolute()
    return KeysPlace(path.with_name(path.name + ".keys.sqlite"))
