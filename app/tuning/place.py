"""Where tuning keeps its records: HOME/tuning.sqlite, beside a `--db` file as FILE.tuning.sqlite, or in the
database of a server.
"""

from __future__ import annotations

from app.settings import Location
from indexing.storage.paths import Address, side_address

__all__ = ["tuning_database"]


def tuning_database(location: Location) -> Address:
    """
    Raises:
        StorageError: the database URL is none.
    """
    return side_address(location.home, location.db, "tuning")
