"""Files that belong to a collection and lie beside its catalog: uploads, and models it was tuned to."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from app.settings import Location
from app.tuning.trained.candidates import models_folder
from app.uploads.store import Uploads
from indexing.errors import BadInput
from indexing.storage.files import (
    disk_errors,
    exchange,
    fsync_file,
    fsync_folder,
    make_own_folder,
    remove,
    temporary_beside,
)

__all__ = ["MODELS", "UPLOADS", "Arriving", "check_path", "copy_files", "files_of", "place_of"]

MODELS, UPLOADS = "models", "uploads"

Write = Callable[[Path], None]
"""Writes one file to a path that is free."""

_DEEPEST = 8
_LONGEST = 255  # bytes of a name, on most disks


def place_of(kind: str, location: Location, name: str) -> Path:
    """The folder of the files of a kind; it need not exist."""
    return models_folder(location, name) if kind == MODELS else Uploads(location).of(name)


def files_of(kind: str, location: Location, name: str) -> dict[str, Path]:
    """Path below the folder, with "/" between names → the file. Links, and names that begin with a dot, are
    left out: none of ours.
    """
    folder = place_of(kind, location, name)
    if folder.is_symlink() or not folder.is_dir():
        return {}
    found = {}
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one[0] != "." and not Path(at, one).is_symlink())
        for one in sorted(names):
            path = Path(at, one)
            if one[0] != "." and path.is_file() and not path.is_symlink():
                found[path.relative_to(folder).as_posix()] = path
    return found


def check_path(path: object) -> str:
    """`path` itself, if it leads to a place below where it begins, on any system.

    Raises:
        BadInput: it does not.
    """
    parts = path.split("/") if isinstance(path, str) else []
    if not 1 <= len(parts) <= _DEEPEST or not all(map(_is_plain, parts)):
        raise BadInput(f"{str(path)[:80]!r} is no path of a file in a backup: nothing was restored")
    return "/".join(parts)


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file everywhere: no drive, no other folder, nothing hidden."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return bool(name) and name[0] != "." and size <= _LONGEST and not set(name) & set('\0/\\:*?"<>|')


class Arriving:
    """Files that come with a copy of a collection. Nothing that is there is lost if the copy fails.

    >>> arriving = Arriving(files, location, "notes")
    ... arriving.stage()            # where that must not take long: before it is begun
    ... arriving.put(copy.folder)   # before the copy is there
    ... arriving.settle()           # when it is
    ... arriving.discard()          # in any case
    """

    def __init__(self, files: Mapping[str, Mapping[str, Write]], location: Location, name: str) -> None:
        self._files = files
        self._uploads = place_of(UPLOADS, location, name)
        self._waiting = temporary_beside(self._uploads)
        self._models = temporary_beside(self._uploads)

    def stage(self) -> None:
        """Writes them where nobody looks, so that `put` has but to give them their names. A server ends a
        transaction that waits for as long as many files may take.

        Raises:
            DiskFull, StorageError: one could not be written.
        """
        for name, files in _by_folder(self._files.get(MODELS, {})).items():
            _make_folder(self._models / name, files)
        if uploads := self._files.get(UPLOADS):
            _make_folder(self._waiting, uploads, mode=0o700)

    def put(self, folder: Path) -> None:
        """Models go into the folder of the copy, uploads to their place, or where something lies there beside
        it.

        Raises:
            DiskFull, StorageError: one could not be written.
        """
        for name, files in _by_folder(self._files.get(MODELS, {})).items():
            if not os.path.lexists(target := folder / MODELS / name):
                self._put_model(self._models / name, target, files)
        if uploads := self._files.get(UPLOADS):
            if not self._waiting.is_dir():
                _make_folder(self._waiting, uploads, mode=0o700)
            with disk_errors(self._uploads):
                self._uploads.parent.chmod(0o700)
                if not os.path.lexists(self._uploads):
                    self._waiting.rename(self._uploads)

    def _put_model(self, staged: Path, target: Path, files: Mapping[str, Write]) -> None:
        if not staged.is_dir():
            _make_folder(target, files)
            return
        with disk_errors(target):
            make_own_folder(target.parent)
            try:
                staged.rename(target)
            except OSError as error:
                if error.errno != errno.EXDEV:  # uploads may lie on another disk
                    raise
                _make_folder(target, files)
            fsync_folder(target.parent)

    def settle(self) -> None:
        """Puts uploads in the place of those that were there."""
        if self._waiting.is_dir():
            with disk_errors(self._uploads):
                exchange(self._waiting, self._uploads)
                fsync_folder(self._uploads.parent)

    def discard(self) -> None:
        remove(self._waiting)
        remove(self._models)


def _by_folder(files: Mapping[str, Write]) -> dict[str, dict[str, Write]]:
    """Name of a folder → the files below it. Files beside the folders are none of ours."""
    found: dict[str, dict[str, Write]] = {}
    for path, write in files.items():
        folder, _, rest = path.partition("/")
        if rest:
            found.setdefault(folder, {})[rest] = write
    return found


def _make_folder(folder: Path, files: Mapping[str, Write], mode: int = 0o777) -> None:
    """A folder with these files below it, which appears when it is whole."""
    temporary = temporary_beside(folder)
    try:
        with disk_errors(folder):
            make_own_folder(folder.parent)
            temporary.mkdir(mode=mode)
        for path, write in files.items():
            target = temporary / check_path(path)
            with disk_errors(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            write(target)
        with disk_errors(folder):
            for at, _, _ in os.walk(temporary):
                fsync_folder(Path(at))
            temporary.rename(folder)
            fsync_folder(folder.parent)
    finally:
        remove(temporary)


def copy_files(kind: str, source: Location, name: str) -> dict[str, Write]:
    """The files of a collection, each as what writes a copy of it."""

    def copier(path: Path) -> Write:
        def write(target: Path) -> None:
            with disk_errors(target):
                shutil.copyfile(path, target, follow_symlinks=False)
                fsync_file(target)

        return write

    return {name: copier(path) for name, path in files_of(kind, source, name).items()}
