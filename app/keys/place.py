"""Where keys are kept: HOME/keys.sqlite, beside a `--db` file as FILE.keys.sqlite, or in a server's
database.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from app.settings import Location
from indexing.storage.paths import Address, ServerDatabase, side_address

__all__ = ["KeysPlace", "keys_place"]


@dataclass(frozen=True)
class KeysPlace:
    database: Address

    @property
    def exists(self) -> bool:
        """Whether a key was ever made, or something else has taken the place of the table."""
        return isinstance(self.database, ServerDatabase) or os.path.lexists(self.database)


def keys_place(location: Location) -> KeysPlace:
    """
    Raises:
        StorageError: the database URL is none.
    """
    return KeysPlace(side_address(location.home, location.db, "keys"))
