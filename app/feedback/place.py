"""Where feedback is kept: HOME/feedback.sqlite, or beside a `--db` file as FILE.feedback.sqlite."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from app.settings import Location
from indexing.storage.paths import database_path, home_folder

__all__ = ["FeedbackPlace", "feedback_place"]


@dataclass(frozen=True)
class FeedbackPlace:
    """`location` is absolute: it names the same place from any working folder."""

    location: Location
    database: Path

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept, or something else has taken its place."""
        return os.path.lexists(self.database)


def feedback_place(location: Location) -> FeedbackPlace:
    """
    Raises:
        StorageError: the database URL is none of SQLite.
    """
    if location.db is None:
        home = home_folder(location.home).absolute()
        return FeedbackPlace(Location(home), home / "feedback.sqlite")
    path = database_path(location.db).absolute()
    return FeedbackPlace(Location(db=f"sqlite:///{path}"), path.with_name(path.name + ".feedback.sqlite"))
