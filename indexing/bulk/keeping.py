"""Folders for copies of what lies elsewhere, which are not left behind, whatever ends a process."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from indexing.errors import LockedError, StorageError
from indexing.storage.files import FolderLock

__all__ = ["folder_for_copies"]

_FOLDER = "stlib-copies-"
_LOCK = "lock"
_WHAT = "a folder of copies"
_NEW = 60.0  # seconds in which whoever makes a folder takes its lock


@contextlib.contextmanager
def folder_for_copies() -> Iterator[Path]:
    """A folder that nobody else may enter, and that is removed at the end. Those of processes that were
    killed are removed first: what lies in them may be nobody's to keep, and is as much as a shard is.
    """
    _remove_left_over(Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
    try:
        with FolderLock(folder, _LOCK, _WHAT):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_over(parent: Path) -> None:
    """Folders of ours whose lock nobody holds."""
    for folder in parent.glob(f"{_FOLDER}*"):
        with contextlib.suppress(OSError, LockedError, StorageError):
            status = folder.lstat()
            # Windows knows no users here, and a temporary folder there is one's own.
            mine = not hasattr(os, "getuid") or status.st_uid == os.getuid()
            if mine and not folder.is_symlink() and time.time() - status.st_mtime > _NEW:
                with FolderLock(folder, _LOCK, _WHAT):
                    shutil.rmtree(folder, ignore_errors=True)
