"""Files that are complete or absent: atomic writing, free space, removal, and a folder lock.

Everything a view keeps on disk goes through here and through `published`. A file or folder is written under a
temporary name in the folder it will live in, flushed to the disk, and renamed, so a reader never sees half
of it.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import shutil
import socket
import stat
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from indexing.errors import DiskFull, LockedError, StorageError
from indexing.storage import forks

logger = logging.getLogger(__name__)

_TEMPORARY_PREFIX = ".tmp-"


# --- disk space and durability -------------------------------------------------------------------------


@contextmanager
def disk_errors(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn the operating system's "no space left" into `DiskFull`, other failures into `StorageError`.

    `needed` is the number of bytes about to be written below `path`, for the message.
    """
    try:
        yield
    except OSError as error:
        if no_space(error):
            raise disk_full(path, needed) from error
        raise StorageError(f"{path} could not be written: {error.strerror or error}") from error


def require_space(path: Path, needed: int) -> None:
    """Raise `DiskFull` when fewer than `needed` bytes are free where `path` is (or will be)."""
    if shutil.disk_usage(_existing_parent(path)).free < needed:
        raise disk_full(path, needed)


def no_space(error: BaseException) -> bool:
    """Whether the operating system said that no space is left."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full(path: Path, needed: int | None = None) -> DiskFull:
    """The error for "no space left", naming what was needed and what is free."""
    return DiskFull(_disk_full_message(path, needed))


def _disk_full_message(path: Path, needed: int | None) -> str:
    free = shutil.disk_usage(_existing_parent(path)).free
    wanted = "" if needed is None else f"at least {_mebibytes(needed)} needed, "
    return f"no space left for {path}: {wanted}{_mebibytes(free)} free; free some space and run it again"


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.1f} MiB"


def _existing_parent(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path


def fsync_file(path: Path) -> None:
    """Wait until the bytes of `path` are on the disk."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def fsync_folder(path: Path) -> None:
    """Wait until the names in `path` are on the disk. Windows has no such call and keeps names in order."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- opening, writing, removing ------------------------------------------------------------------------


def open_plain(path: str | os.PathLike[str]) -> BinaryIO:
    """A plain file, opened for reading. A pipe or a device is refused and not waited for.

    Raises OSError: it is missing, cannot be read, or is no plain file.
    """

    def without_waiting(path: str, flags: int) -> int:
        return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe's other end may never come

    file = open(path, "rb", opener=without_waiting)  # noqa: SIM115 - Path.open takes no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "is no plain file", os.fspath(path))
    return file


def write_atomic(path: str | os.PathLike[str], data: bytes, *, mode: int = 0o666) -> None:
    """Replace the content of `path` by `data` in one step that survives power loss.

    `mode` are the permissions, less the process's umask. Raises `DiskFull` or `StorageError`; the old
    content is then still there.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    with disk_errors(path, len(data)):
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(temporary, flags, mode), "wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        fsync_folder(path.parent)


def make_own_folder(path: str | os.PathLike[str]) -> None:
    """Make the folder `path` if it is missing; a symbolic link of that name is removed, not followed."""
    path = Path(path)
    if path.is_symlink():
        logger.warning("%s is a symbolic link, which is not followed: making a folder in its place", path)
        path.unlink(missing_ok=True)
    path.mkdir(parents=True, exist_ok=True)


def remove_temporary(parent: str | os.PathLike[str]) -> None:
    """Remove what killed writers left in `parent`. Call it only while holding the lock of `parent`."""
    for path in Path(parent).glob(f"{_TEMPORARY_PREFIX}*"):
        remove(path)


def remove(path: str | os.PathLike[str]) -> None:
    """Remove a published file or folder. It loses its name in one step first: half of it is never seen."""
    path = Path(path)
    doomed = path if path.name.startswith(_TEMPORARY_PREFIX) else temporary_beside(path)
    try:
        if doomed != path:
            path.rename(doomed)
    except FileNotFoundError:
        return
    if doomed.is_dir() and not doomed.is_symlink():
        shutil.rmtree(doomed, ignore_errors=True)
    else:
        doomed.unlink(missing_ok=True)


def exchange(first: Path, second: Path) -> None:
    """Lets two files or folders of one disk change names, in one step where the system can: nobody finds
    `second` missing. Elsewhere it is for a moment, in which a process that dies leaves what was there under
    a temporary name beside it.
    """
    if _swap(first, second):
        return
    aside = temporary_beside(second)
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


def _swap(first: Path, second: Path) -> bool:
    """By Linux's call for it, which Python has no name for."""
    call = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    if call is None:
        return False
    here, swap = -100, 2
    return bool(call(here, os.fsencode(first), here, os.fsencode(second), swap) == 0)


def bytes_below(folder: str | os.PathLike[str]) -> int:
    """The sizes of all files below `folder`, added up; 0 if it is not there."""
    total = 0
    for path in Path(folder).rglob("*"):
        with suppress(FileNotFoundError):  # a view may be replaced at this moment
            if path.is_file():
                total += path.stat().st_size
    return total


def remove_if_empty(folder: str | os.PathLike[str]) -> None:
    """Remove a folder that holds nothing; one that does, or is not there, stays as it is."""
    with suppress(OSError):
        Path(folder).rmdir()


def temporary_beside(path: Path) -> Path:
    """A fresh name in the folder of `path` that readers ignore and `remove_temporary` removes."""
    return path.with_name(f"{_TEMPORARY_PREFIX}{path.name}-{os.getpid()}-{uuid.uuid4().hex[:8]}")


# --- lock ----------------------------------------------------------------------------------------------


class FolderLock:
    """At most one writer per folder, taken without waiting and released by the system if its holder dies.

    >>> with FolderLock(folder):        # raises LockedError naming the holder when it is taken
    ...     advance_the_views()

    The lock belongs to the open file, so two locks of one process exclude each other as well. `flock`
    locks one host only: a view folder belongs to one host.
    """

    def __init__(self, folder: str | os.PathLike[str], name: str = ".lock", what: str | None = None) -> None:
        """`what` the lock protects, as a person calls it; the folder if nothing is said."""
        self.path = Path(folder) / name
        self.what = what or str(self.path.parent)
        self._handle: int | None = None
        forks.watch(self)

    def before_fork(self) -> None:
        """Nothing: the parent keeps the lock."""

    def after_fork(self, in_child: bool) -> None:
        """The child does not hold it, and its copy of the open file must not keep it when the parent ends."""
        if in_child and self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)

    def acquire(self) -> FolderLock:
        """Take the lock now or raise `LockedError`. The folder is made if it is missing."""
        if self._handle is not None:
            raise LockedError(f"{self.path} is held by this very object already")
        handle = self._open_and_lock()
        while not self._is_at_its_path(handle):  # its folder was removed before the lock was ours
            os.close(handle)
            handle = self._open_and_lock()
        self._handle = handle
        _write_holder(handle)
        return self

    def _open_and_lock(self) -> int:
        with disk_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._refuse_links()
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | _NO_LINK | _NO_WAIT, 0o644)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise StorageError(f"{self.path} is a pipe or a device instead of a file; remove it")
        try:
            _lock_without_waiting(handle)
        except OSError as error:
            holder = _read_holder(handle)
            os.close(handle)
            raise LockedError(f"{self.what} is being written by {describe_holder(holder)}") from error
        return handle

    def _refuse_links(self) -> None:
        """The holder's name is written into the file: into a file of somebody else, if a link leads there."""
        for path in (self.path.parent, self.path):
            if path.is_symlink():
                raise StorageError(f"{path} is a symbolic link, which is not followed; remove it")

    def _is_at_its_path(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), self.path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            _unlock(handle)
            os.close(handle)

    @property
    def held(self) -> bool:
        return self._handle is not None

    def require_held(self) -> None:
        """
        Raises:
            LockedError: it is not held, or its folder was replaced since and another may hold it.
        """
        if self._handle is None or not self._is_at_its_path(self._handle):
            raise LockedError(f"the lock of {self.what} was lost")

    def __enter__(self) -> FolderLock:
        return self if self.held else self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_NO_LINK = getattr(os, "O_NOFOLLOW", 0)  # Windows has neither
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)

if sys.platform == "win32":
    import msvcrt

    def _lock_without_waiting(handle: int) -> None:
        # Windows locks are mandatory for the bytes they cover: one far behind the text keeps that readable.
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

    def _unlock(handle: int) -> None:
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock_without_waiting(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)  # closing alone would leave it to a forked child


def _write_holder(handle: int) -> None:
    since = datetime.now(timezone.utc).isoformat(timespec="seconds")
    text = f"{_this_process()} since {since}"
    with suppress(OSError):  # a full disk leaves no room for the note; the lock holds without it
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, text.encode("utf-8", "replace"))


def _read_holder(handle: int) -> str:
    os.lseek(handle, 0, os.SEEK_SET)
    text = os.read(handle, 500).decode("utf-8", "replace")
    return " ".join(text.split()) or "another process"


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def describe_holder(holder: str) -> str:
    """Who holds a lock, `process PID on HOST` and what more is known, with what to do about it."""
    if f"{holder} ".startswith(f"{_this_process()} "):
        return (
            f"{holder}, which is this process itself: wait until its other call has returned; what that calls"
            " meanwhile, such as progress=, is part of it"
        )
    return f"{holder}; wait until it is done"


def link_or_copy(sources: Iterable[Path], folder: Path) -> None:
    """Give `folder` the same files: hard links where the file system has them, copies where it has not."""
    for source in sources:
        target = folder / source.name
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
