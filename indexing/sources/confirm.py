"""Which sources a person of this machine named: those of a home that was copied here are asked about first.

The names of a source's folder lie in the catalog, so a stranger's catalog could name any folder of this
machine. What was named here is recorded in the machine's own state, outside any home.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from datetime import datetime, timezone

from indexing.errors import StorageError
from indexing.storage.machine import change_record, read_record

__all__ = ["confirm_roots", "confirmed_roots"]

logger = logging.getLogger(__name__)

_RECORD = "sources"


Root = tuple[str, str]
"""Kind and folder: who named two files of a folder has not named all of it."""


def confirmed_roots(uuid: str, roots: Iterable[Root]) -> set[Root]:
    """Those of `roots` that were confirmed on this machine for the collection `uuid`."""
    try:
        known = read_record(_RECORD)
    except StorageError as error:
        logger.warning("which folders were confirmed here cannot be told: %s", error)
        return set()
    return {root for root in roots if _key(uuid, root) in known}


def confirm_roots(uuid: str, roots: Iterable[Root]) -> bool:
    """Records that a person named these folders for this collection here. False, with a warning, if the
    machine's state cannot be written: then they are asked about again.
    """
    wanted = {_key(uuid, root): root for root in roots}
    try:
        if wanted.keys() <= read_record(_RECORD).keys():
            return True
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        with change_record(_RECORD) as known:
            for key, root in wanted.items():
                known.pop(key, None)
                known[key] = {"kind": root[0], "root": root[1], "when": when}
    except StorageError as error:
        logger.warning("that folders were confirmed here cannot be remembered: %s", error)
        return False
    return True


def _key(uuid: str, root: Root) -> str:
    told = "\0".join((uuid, *root)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=16).hexdigest()
