"""What was asked and said of a collection and what it learned from that, in another place."""

from __future__ import annotations

from app.feedback.moving import copy_feedback
from app.settings import Location
from app.tuning.moving import add_records, read_records
from indexing.upkeep.copy import Copy

__all__ = ["copy_said"]


def copy_said(source: Location, target: Location, copy: Copy) -> int:
    """Writes what is kept of `copy.original_uuid` at `source` into `target`, as of `copy`. What is there
    already is not added again. Returns how many searches, clicks and judgments were added.

    Raises:
        StorageError, LockedError: a database is damaged or cannot be written; each has all or nothing.
    """
    servings = copy.numbers.of("serving")
    records = read_records(source, copy.original_uuid)  # before anything is written
    added = copy_feedback(source, target, copy.original_uuid, copy.uuid, servings)
    add_records(target, records, copy.uuid, servings)
    return added
