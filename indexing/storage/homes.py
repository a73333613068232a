"""The homes that were used on this machine, told from copies of them that somebody else brought.

A home carries a random id in a file; this machine's state says which id belongs to which folder. A copy has
the id but is another folder; a home of another machine has an id that nobody here knows.
"""

from __future__ import annotations

import logging
import os
import secrets
from datetime import datetime, timezone
from pathlib import Path

from indexing.errors import StorageError
from indexing.storage.files import disk_errors, write_atomic
from indexing.storage.machine import change_record, read_bounded, read_record

__all__ = ["HOME_ID", "home_is_known", "remember_home"]

logger = logging.getLogger(__name__)

HOME_ID = ".home-id"
"""The file in a home."""

_RECORD = "homes"
_ID_BYTES = 32  # characters of 16 random bytes


def home_is_known(home: str | os.PathLike[str]) -> bool:
    """Whether `home` is a folder that `remember_home` was told of on this machine, and still the same one.

    The path counts as well as the folder itself (its device and inode): a home that was moved, copied, or
    replaced by a copy is not known any more until it is used by hand again.
    """
    home = Path(home)
    id_ = _read_id(home)
    if id_ is None:
        return False
    try:
        return read_record(_RECORD).get(id_, {}).get("folder") == _folder_identity(home)
    except (OSError, StorageError) as error:
        logger.warning("whether %s is known here cannot be told: %s", home, error)
        return False


def remember_home(home: str | os.PathLike[str]) -> bool:
    """Records that a person used `home` on this machine. The folder must exist.

    False, with a warning, if it or the state cannot be written; nothing else depends on it.
    """
    home = Path(home)
    if home_is_known(home):
        return True
    try:
        # A copy gets an id of its own: the one that it came with stays that of its original.
        id_ = secrets.token_hex(_ID_BYTES // 2)
        with disk_errors(home), change_record(_RECORD) as homes:
            if home_is_known(home):  # another process was faster
                return True
            write_atomic(home / HOME_ID, id_.encode("ascii"))
            identity = _folder_identity(home)
            for other in [key for key, entry in homes.items() if entry.get("folder") == identity]:
                del homes[other]
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            homes[id_] = {"folder": identity, "when": now}
    except StorageError as error:
        logger.warning("that %s was used here cannot be remembered: %s", home, error)
        return False
    return True


def _read_id(home: Path) -> str | None:
    try:
        data, _ = read_bounded(home / HOME_ID, _ID_BYTES)
    except OSError:
        return None
    return data.decode("ascii", "replace") if len(data) == _ID_BYTES else None


def _folder_identity(home: Path) -> list[str | int]:
    status = home.stat()
    return [os.fspath(home.resolve()), status.st_dev, status.st_ino]
