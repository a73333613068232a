"""The folder of one kind of view: immutable snapshots named `<prefix>-<seq>`, the newest one counts.

A damaged snapshot is set aside under another name, so that it is never read again, and removed when a new one
is published. On POSIX an unlinked file lives on for a process that has it open, so a reader is never cut off.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from pathlib import Path

from indexing.files import remove, remove_temporary

__all__ = ["ViewFolder"]

logger = logging.getLogger(__name__)

_SET_ASIDE = "damaged-"
_SNAPSHOT = re.compile(r"(?P<prefix>.+)-(?P<seq>\d+)\.(?P<try>\d+)")


class ViewFolder:
    """Names and lifetimes of the snapshots in `path` whose name begins with `prefix`."""

    def __init__(self, path: Path, prefix: str) -> None:
        self.path = path
        self.prefix = prefix

    def snapshots(self) -> list[tuple[int, Path]]:
        """(seq, folder) of each published snapshot, the newest first."""
        found = []
        if self.path.is_dir():
            for folder in self.path.iterdir():
                match = _SNAPSHOT.fullmatch(folder.name)
                if match and match["prefix"] == self.prefix:
                    found.append((int(match["seq"]), int(match["try"]), folder))
        return [(seq, folder) for seq, _, folder in sorted(found, reverse=True)]

    def target(self, seq: int) -> Path:
        """A free name for a snapshot at `seq`: a rebuilt one never takes the name of the one it replaces."""
        self.path.mkdir(parents=True, exist_ok=True)
        number = 0
        while (candidate := self.path / f"{self.prefix}-{seq}.{number}").exists():
            number += 1
        return candidate

    def set_aside(self, folder: Path, reason: object) -> None:
        """Takes a damaged snapshot out of use."""
        logger.warning("set aside and rebuilding: %s", reason)
        number = 0
        while (target := self.path / f"{_SET_ASIDE}{number}-{folder.name}").exists():
            number += 1
        with suppress(FileNotFoundError):  # another process did it first
            folder.rename(target)

    def clear(self) -> None:
        """Removes every snapshot of this kind."""
        for _, folder in self.snapshots():
            remove(folder)

    def keep_only(self, folder: Path) -> None:
        """Removes every other snapshot of this kind, set aside ones included."""
        for other in self.path.iterdir():
            if other != folder and (other.name.startswith(_SET_ASIDE) or _SNAPSHOT.fullmatch(other.name)):
                remove(other)
        remove_temporary(self.path)
