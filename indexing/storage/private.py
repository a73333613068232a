"""Folders of one process, in place of those that it cannot write or whose files nobody could verify later.

A home may lie on a disk that is mounted read-only, or belong to another user; and a machine that cannot keep
a key would write views that no other process accepts. Both search all the same: what they must build goes
into a folder of their own, which is removed at the end of the process.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from indexing.storage.machine import key_is_kept

__all__ = ["can_write", "own_folder", "private_folder"]

_EFFECTIVE = os.access in os.supports_effective_ids  # what counts for opening a file, where it can be asked

_own: dict[tuple[int, Path], Path] = {}


def own_folder(path: Path) -> Path:
    """`path` if this process can write there and has a lasting key, else the folder that stands in for it.

    It is the same one for the whole process. Neither need exist yet.
    """
    path = path.absolute()
    return path if can_write(path) and key_is_kept() else private_folder(path)


def private_folder(path: Path) -> Path:
    """The folder of this process that stands in for `path`, whether that can be written or not."""
    place = (os.getpid(), path.absolute())  # a child that was forked has its own
    if place not in _own:
        root = Path(tempfile.mkdtemp(prefix="stlib-"))
        if _own.setdefault(place, root / path.name) != root / path.name:
            root.rmdir()  # another thread was faster
        else:
            atexit.register(_remove, root, os.getpid())
    return _own[place]


def can_write(path: Path) -> bool:
    """Whether this process may write a file, or into a folder; of what is missing, where it would be made."""
    while not path.exists() and path != path.parent:
        path = path.parent
    needed = os.W_OK | os.X_OK if path.is_dir() else os.W_OK
    return os.access(path, needed, effective_ids=_EFFECTIVE)


def _remove(root: Path, pid: int) -> None:
    if os.getpid() == pid:
        shutil.rmtree(root, ignore_errors=True)
