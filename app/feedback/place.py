"""Where feedback is kept: HOME/feedback.sqlite, beside a `--db` file as FILE.feedback.sqlite, or in the
database of a server.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from app.settings import Location
from indexing.storage.paths import Address, ServerDatabase, side_address

__all__ = ["FeedbackPlace", "feedback_place"]


@dataclass(frozen=True)
class FeedbackPlace:
    """`location` is absolute: it names the same place from any working folder."""

    location: Location
    database: Address

    @property
    def exists(self) -> bool:
        """Whether anything was ever kept, or something else has taken its place."""
        return isinstance(self.database, ServerDatabase) or os.path.lexists(self.database)


def feedback_place(location: Location) -> FeedbackPlace:
    """
    Raises:
        StorageError: the database URL is none.
    """
    return FeedbackPlace(location.absolute(), side_address(location.home, location.db, "feedback"))
