"""The folder of a model that was exported on the fly."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any


class TemporaryFolder:
    """A folder that lasts as long as anybody holds this object, at most until the process ends.

    Copies share it, also deep ones, so the last of several copies of a model removes it. A pickle holds the
    contents of the files, because its reader may come after the folder is gone or run elsewhere; it writes
    them into a folder of its own.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="stlib-export-"))
        self._finalizer = weakref.finalize(self, _remove, self.path, os.getpid())

    def remove(self) -> None:
        """Remove the folder now."""
        self._finalizer()

    def __copy__(self) -> TemporaryFolder:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> TemporaryFolder:
        return self

    def __reduce__(self) -> Any:
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return _unpack, ({path.relative_to(self.path).as_posix(): path.read_bytes() for path in files},)


def _unpack(files: dict[str, bytes]) -> TemporaryFolder:
    folder = TemporaryFolder()
    for name, content in files.items():
        target = folder.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def _remove(path: Path, process: int) -> None:
    # A forked process has a copy of the object, yet the folder is its parent's.
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)
