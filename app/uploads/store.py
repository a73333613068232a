"""Keeping files that visitors brought.

HOME/uploads/NAME/FILE    of collection NAME; with a database URL FILE.uploads/NAME/FILE beside it
HOME/uploads/.lock        held by whoever writes or removes there
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from app.settings import Location, UploadLimits
from app.uploads.names import numbered, safe_name
from app.wording import format_bytes, format_count
from indexing.errors import BadInput, IndexingError, LockedError
from indexing.storage.files import (
    FolderLock,
    disk_errors,
    fsync_folder,
    make_own_folder,
    remove,
    remove_temporary,
    require_space,
    temporary_beside,
)
from indexing.storage.paths import check_name, side_folder

__all__ = ["Incoming", "Received", "StoredFile", "Uploads"]

_BLOCK = 1 << 20
_LOCK_SECONDS = 30.0  # somebody else is storing files from memory, which takes seconds


@dataclass(frozen=True)
class Incoming:
    """A file that somebody brings: `name` as the browser says it, `file` to be read from its start."""

    name: str
    file: BinaryIO


@dataclass(frozen=True)
class StoredFile:
    """A file that is kept.

    Attributes:
        given: the name as the browser said it.
        name: the name it has here.
        fresh: False where the same file was here already.
    """

    given: str
    name: str
    path: Path
    bytes: int
    fresh: bool


@dataclass
class Received:
    """What became of files that were brought; `refused` are names with the reason."""

    stored: list[StoredFile] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)


class Uploads:
    """The uploaded files of a home."""

    def __init__(self, location: Location) -> None:
        self.folder = side_folder(location.home, location.db, "uploads")

    def of(self, collection: str) -> Path:
        """The folder of a collection, which need not exist."""
        return self.folder / check_name(collection)

    def files(self, collection: str | None = None) -> list[tuple[Path, int]]:
        """The files of a collection, or all, with their sizes."""
        folders = _folders(self.folder) if collection is None else [self.of(collection)]
        return [found for folder in folders for found in _files(folder)]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While others neither store nor remove.

        Raises:
            LockedError: somebody else holds it for longer than storing files takes.
        """
        deadline = time.monotonic() + _LOCK_SECONDS
        self._make(self.folder)
        lock = FolderLock(self.folder, ".lock", "the folder of uploaded files")
        while True:
            try:
                lock.acquire()
                break
            except LockedError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.05)
        with lock:
            yield

    def receive(
        self, collection: str, incoming: Iterable[Incoming], limits: UploadLimits, *, replace: bool = False
    ) -> Received:
        """Store files, each whole or not at all. One that has the name of another and is not the same gets a
        number, or takes its place with `replace`. Call it inside `locked`.

        A file that cannot be kept is refused with the reason, and the others are stored.
        """
        received = Received()
        folder = self.of(collection)
        self._make(folder)
        remove_temporary(folder)
        room = _Room(limits, self.files())
        for one in incoming:
            try:
                received.stored.append(_store(folder, one, room, replace))
            except IndexingError as error:
                received.refused.append((one.name, str(error)))
        with disk_errors(folder):
            fsync_folder(folder)
        return received

    def forget(self, collection: str) -> tuple[int, int]:
        """Remove the files of a collection; returns how many and how many bytes. Call it inside `locked`."""
        files = self.files(collection)
        remove(self.of(collection))
        return len(files), sum(size for _, size in files)

    def forget_files(self, collection: str, paths: Iterable[Path]) -> list[Path]:
        """Remove those of `paths` that are uploaded files of a collection; returns them. Call it inside
        `locked`.
        """
        if self.folder.is_symlink() or self.of(collection).is_symlink():
            return []  # it may have come with a copied home, and lead to somebody's own files
        folder = Path(os.path.realpath(self.of(collection)))
        gone = [path for path in paths if path.parent == folder and path.is_file() and not path.is_symlink()]
        for path in gone:
            path.unlink()
        if gone:
            with disk_errors(folder):
                fsync_folder(folder)
        return gone

    def forget_others(self, collections: Sequence[str]) -> None:
        """Remove what was left by collections that are no more. Call it inside `locked`."""
        for folder in _folders(self.folder):
            if folder.name not in collections:
                remove(folder)

    def _make(self, folder: Path) -> None:
        with disk_errors(folder):
            make_own_folder(folder)
            folder.chmod(0o700)


class _Room:
    """What may still be stored in a home."""

    def __init__(self, limits: UploadLimits, files: Sequence[tuple[Path, int]]) -> None:
        self.limits = limits
        self.files = limits.files - len(files)
        self.bytes = limits.total_bytes - sum(size for _, size in files)

    def check(self, size: int) -> None:
        """
        Raises:
            BadInput: a file of `size` bytes is too large, or too much with the others.
        """
        if size > self.limits.file_bytes:
            raise BadInput(f"it is larger than {format_bytes(self.limits.file_bytes)}, the limit of one file")
        if size > self.bytes:
            raise BadInput(
                f"uploaded files may take {format_bytes(self.limits.total_bytes)} here, and this one has no"
                " room beside the others: remove uploaded files of a collection that has read them"
            )
        if self.files < 1:
            raise BadInput(
                f"{format_count(self.limits.files, 'uploaded file')} may lie here, and they do: remove those"
                " of a collection that has read them"
            )

    def take(self, size: int) -> None:
        self.files -= 1
        self.bytes -= size


def _store(folder: Path, incoming: Incoming, room: _Room, replace: bool) -> StoredFile:
    name = safe_name(incoming.name)
    room.check(1)
    temporary = temporary_beside(folder / "upload")
    try:
        size, digest = _copy(incoming.file, temporary, room)
        if not size:
            raise BadInput("it is empty")
        name, same = _free_name(folder, name, digest, size, replace)
        path = folder / name
        if not same:
            replaced = path.stat().st_size if path.exists() else None
            with disk_errors(path):
                temporary.replace(path)
            if replaced is None:
                room.take(size)
            else:
                room.bytes -= size - replaced
        return StoredFile(incoming.name, name, path, size, not same)
    finally:
        temporary.unlink(missing_ok=True)


def _copy(source: BinaryIO, target: Path, room: _Room) -> tuple[int, bytes]:
    """How many bytes there were, and their hash. Stops as soon as there are too many."""
    size, digest = 0, hashlib.sha256()
    require_space(target, _BLOCK)
    with disk_errors(target):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(target, flags, 0o600), "wb") as file:
            while block := source.read(_BLOCK):
                size += len(block)
                room.check(size)
                digest.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    return size, digest.digest()


def _free_name(folder: Path, name: str, digest: bytes, size: int, replace: bool) -> tuple[str, bool]:
    """The name for a file, and whether that very file is there. Names that differ in case alone are one."""
    taken = {path.name.casefold(): path for path, _ in _files(folder)}
    for number in range(1, len(taken) + 2):
        candidate = name if number == 1 else numbered(name, number)
        there = taken.get(candidate.casefold())
        if there is None:
            return candidate, False
        if there.stat().st_size == size and _hash(there) == digest:
            return there.name, True
        if replace:
            return there.name, False
    raise AssertionError("unreachable")


def _hash(path: Path) -> bytes:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()


def _folders(folder: Path) -> list[Path]:
    if folder.is_symlink() or not folder.is_dir():
        return []
    return sorted(one for one in folder.iterdir() if one.is_dir() and not one.is_symlink())


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Plain files; a link that came with a copied home is none."""
    if folder.is_symlink() or not folder.is_dir():
        return []
    with os.scandir(folder) as scan:
        return sorted(
            (folder / one.name, one.stat(follow_symlinks=False).st_size)
            for one in scan
            if one.is_file(follow_symlinks=False) and one.name[0] != "."
        )
