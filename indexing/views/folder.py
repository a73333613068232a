"""The folder of one kind of view: immutable snapshots named `<prefix>-<seq>.<try>`, the newest one counts.

A damaged snapshot is set aside under another name, so that it is never read again, and removed when a new one
is published. On POSIX an unlinked file lives on for a process that has it open, so a reader is never cut off.

Where the folder cannot be written, or a view could not be verified later, new snapshots go into a folder of
this process; those that are in the folder already are used if they are sound, and left alone if they are not.

Links are not followed: what a link leads to is nobody's view, and must not be cleaned up. A link in place of
the folder, or of the one it lies in, counts as empty and gives way to a folder when something is published.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from indexing.errors import CorruptView, ForeignView
from indexing.session import Session
from indexing.storage.files import make_own_folder, remove, remove_temporary
from indexing.storage.private import own_folder

__all__ = ["ViewFolder", "entries_of"]

logger = logging.getLogger(__name__)

Snapshot = TypeVar("Snapshot")

_SET_ASIDE = "damaged-"
_SNAPSHOT = re.compile(r"(?P<prefix>.+)-(?P<seq>\d+)\.(?P<try>\d+)")


class ViewFolder(Generic[Snapshot]):
    """Names and lifetimes of the snapshots in `path` whose name begins with `prefix`. One is kept open."""

    def __init__(self, path: Path, prefix: str) -> None:
        self.path = own_folder(path)
        """Where snapshots are published."""
        self._kept = None if self.path == path.absolute() else path.absolute()
        self._refused: set[Path] = set()  # damaged ones in `_kept`, which cannot be set aside
        self.prefix = prefix
        self._opened: tuple[Path, Snapshot] | None = None

    def snapshots(self) -> list[tuple[int, Path]]:
        """(seq, folder) of each published snapshot, the newest first."""
        found = []
        for folder in self._entries():
            match = _SNAPSHOT.fullmatch(folder.name)
            if not match or folder in self._refused:
                continue
            if match["prefix"] == self.prefix and not folder.is_symlink():
                found.append((int(match["seq"]), int(match["try"]), folder))
        return [(seq, folder) for seq, _, folder in sorted(found, reverse=True)]

    def _entries(self) -> Iterator[Path]:
        """What lies in the folder, or the two of them, if they are ours."""
        for path in (self.path, self._kept):
            if path and path.is_dir() and not path.is_symlink() and not path.parent.is_symlink():
                yield from path.iterdir()

    def seq(self) -> int:
        """The watermark of the newest snapshot, sound or not; 0 if there is none."""
        return max((seq for seq, _ in self.snapshots()), default=0)

    def opened(self) -> Snapshot | None:
        """The snapshot that is kept open, if any."""
        return None if self._opened is None else self._opened[1]

    def close(self) -> None:
        """Lets go of the snapshot that is kept open; who reads it keeps it until then."""
        self._opened = None

    def newest(self, open_snapshot: Callable[[Path], Snapshot]) -> tuple[int, Path, Snapshot] | None:
        """Watermark, folder and content of the newest sound snapshot. Damaged ones are set aside.

        Looks again after one that cannot be opened: it may be gone because a newer one has been published.
        """
        while found := self.snapshots():
            seq, path = found[0]
            held = self._opened
            if held is None or held[0] != path:
                try:
                    held = path, open_snapshot(path)
                except CorruptView as error:
                    self.set_aside(path, error)
                    continue
                self._opened = held
            return seq, path, held[1]
        return None

    def examine(self, open_snapshot: Callable[[Path], object]) -> list[str]:
        """Opens the newest snapshot afresh; one that is damaged is set aside, and the reason returned."""
        self._opened = None
        while found := self.snapshots():
            try:
                open_snapshot(found[0][1])
            except CorruptView as error:
                if self.set_aside(found[0][1], error):
                    return [str(error)]
                continue
            break
        return []

    def target(self, seq: int) -> Path:
        """A free name for a snapshot at `seq`: a rebuilt one never takes the name of the one it replaces."""
        make_own_folder(self.path.parent)
        make_own_folder(self.path)
        number = 0
        while (candidate := self.path / f"{self.prefix}-{seq}.{number}").exists():
            number += 1
        return candidate

    def set_aside(self, folder: Path, reason: object) -> bool:
        """Takes a damaged snapshot out of use; False if it is gone, replaced or set aside by another."""
        if folder.parent == self._kept:
            return self._refuse(folder, reason)
        number = 0
        while (target := self.path / f"{_SET_ASIDE}{number}-{folder.name}").exists():
            number += 1
        try:
            folder.rename(target)
        except FileNotFoundError:
            return False
        _log(reason)
        return True

    def _refuse(self, folder: Path, reason: object) -> bool:
        new = folder not in self._refused
        if new:
            self._refused.add(folder)
            _log(reason)
        return new

    def clear(self) -> None:
        """Removes every snapshot of this kind, or takes it out of use."""
        self._opened = None
        for _, folder in self.snapshots():
            self._drop(folder)

    def keep_only(self, folder: Path) -> None:
        """Removes every other snapshot of this kind, and whatever was set aside or left unfinished."""
        for _, other in self.snapshots():
            if other != folder:
                self._drop(other)
        for other in self._entries():
            if other.name.startswith(_SET_ASIDE) and other.parent == self.path:
                remove(other)
        remove_temporary(self.path)

    def _drop(self, folder: Path) -> None:
        if folder.parent == self._kept:
            self._refused.add(folder)
        else:
            remove(folder)


def _log(reason: object) -> None:
    """A home that came from elsewhere brings views of another key, which is nothing to worry about."""
    level = logging.INFO if isinstance(reason, ForeignView) else logging.WARNING
    logger.log(level, "set aside and rebuilding: %s", reason)


def entries_of(session: Session, kind: str) -> list[Path]:
    """What lies in the folder of all views of a kind; links are not followed."""
    folder = own_folder(session.place.views / kind)
    is_own = folder.is_dir() and not folder.is_symlink() and not folder.parent.is_symlink()
    return list(folder.iterdir()) if is_own else []
