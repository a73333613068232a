"""This machine's own state, outside any home: what somebody else's copy of a home cannot bring along.

    STATE/key          32 random bytes that key the checksums of views
    STATE/models.json  the models that were used here, see `indexing.models.trust`
    STATE/homes.json   the homes that were used here, see `indexing.storage.homes`

STATE is the environment's STLIB_STATE, else the platform's folder for a program's state. Containers that
share a home share this folder too, as a volume. It is made readable for its owner alone; a folder or file in
it counts only if nobody but the owner and root can write to it. A machine whose state cannot be kept still
searches: it has a key for the length of one process, whose views nobody else sees, and remembers nothing.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from indexing.errors import LockedError, StorageError
from indexing.storage.files import FolderLock, disk_errors, open_plain, write_atomic

__all__ = [
    "KEY_BYTES",
    "STATE_VARIABLE",
    "change_record",
    "key_is_kept",
    "machine_key",
    "read_bounded",
    "read_record",
    "state_folder",
]

logger = logging.getLogger(__name__)

STATE_VARIABLE = "STLIB_STATE"
KEY_BYTES = 32

_RECORD_BYTES = 16 << 20
_RECORD_ENTRIES = 10_000  # the oldest go first
_LOCK_SECONDS = 10.0  # a record is held for milliseconds; whoever waits longer waits for a stopped process
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

_keys: dict[Path | None, bytes] = {}


def state_folder() -> Path:
    """The environment's STLIB_STATE, else the platform's folder; it need not exist yet.

    Raises:
        StorageError: neither says where, as for a user without a home folder.
    """
    from platformdirs import user_state_path

    configured = os.environ.get(STATE_VARIABLE)
    try:
        folder = Path(configured).expanduser() if configured else user_state_path("stlib", appauthor=False)
    except RuntimeError as error:  # whose home folder "~" is cannot be told
        raise StorageError(f"{STATE_VARIABLE}={configured}: {error}") from error
    if configured or folder.is_absolute():
        return folder.absolute()
    raise StorageError("this user has no home folder for it")  # never a folder named "~" where we stand


# --- the key -------------------------------------------------------------------------------------------


def machine_key() -> bytes:
    """The key of this machine, made on first need. One for this process alone where none can be kept."""
    folder = None
    with suppress(StorageError):  # which is told below
        folder = state_folder()
    if folder not in _keys:
        # Threads that arrive together read the same file, or agree on one of their random keys here.
        _keys.setdefault(folder, _kept_key() or secrets.token_bytes(KEY_BYTES))
    return _keys[folder]


def key_is_kept() -> bool:
    """Whether other processes of this machine have the same key."""
    try:
        key = machine_key()  # made by the first call on a machine
        return _read_if_there(state_folder() / "key", KEY_BYTES) == key
    except StorageError:
        return False


def _kept_key() -> bytes | None:
    """The key on the disk; None, and a warning that says why, if there cannot be one."""
    try:
        folder = state_folder()
        path = folder / "key"
        _check_folder(folder)
        key = _read_if_there(path, KEY_BYTES)
        if key is not None and len(key) == KEY_BYTES:
            return key
        with _hold(folder):
            key = _read_if_there(path, KEY_BYTES)  # another process may have been here in the meantime
            if key is None or len(key) != KEY_BYTES:
                if key is not None:
                    _set_aside(path, f"has {len(key)} bytes instead of {KEY_BYTES}")
                key = secrets.token_bytes(KEY_BYTES)
                write_atomic(path, key, mode=0o600)
            return key
    except StorageError as error:
        logger.warning(
            "this machine cannot keep a key, so that each process builds its own indexes: %s; "
            "set %s to a folder that only you can write to",
            error,
            STATE_VARIABLE,
        )
        return None


# --- records -------------------------------------------------------------------------------------------


def read_record(name: str) -> dict[str, dict[str, Any]]:
    """The entries of `name`.json by their key; none if there is no such file. A damaged one is set aside.

    Raises:
        StorageError: it is there and cannot be read, or others could have written it.
    """
    folder = state_folder()
    _check_folder(folder, make=False)
    path = folder / f"{name}.json"
    try:
        return _read_entries(path)
    except ValueError:
        with _hold(folder):
            return _entries_or_set_aside(path)


@contextmanager
def change_record(name: str) -> Iterator[dict[str, dict[str, Any]]]:
    """The entries of `name`.json, to be changed in the `with` block and written at its end, in one step.

    Another process that wants the same waits. What was changed last stands last.

    Raises:
        StorageError: the state cannot be read or written; DiskFull: ... because no space is left.
    """
    folder = state_folder()
    _check_folder(folder)
    path = folder / f"{name}.json"
    with _hold(folder):
        entries = _entries_or_set_aside(path)
        before = json.dumps(entries)
        yield entries
        for oldest in list(entries)[:-_RECORD_ENTRIES]:
            del entries[oldest]
        after = json.dumps(entries)
        if after != before:
            write_atomic(path, after.encode("ascii"), mode=0o600)


def _entries_or_set_aside(path: Path) -> dict[str, dict[str, Any]]:
    try:
        return _read_entries(path)
    except ValueError as error:
        _set_aside(path, str(error))
        return {}


def _read_entries(path: Path) -> dict[str, dict[str, Any]]:
    """Raises ValueError for what this module has not written."""
    data = _read_if_there(path, _RECORD_BYTES)
    if data is None:
        return {}
    try:
        entries = json.loads(data)
    except RecursionError as error:
        raise ValueError("is nested without end") from error
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ValueError("does not hold one object of objects")
    return entries


# --- files ---------------------------------------------------------------------------------------------


def read_bounded(path: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """At most `limit` + 1 bytes of a plain file, and its status. Raises OSError as `open_plain` does."""
    with open_plain(path) as file:
        return file.read(limit + 1), os.fstat(file.fileno())


def _read_if_there(path: Path, limit: int) -> bytes | None:
    try:
        data, status = read_bounded(path, limit)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror or error})") from error
    _check_owner(path, status)
    return data


def _check_folder(folder: Path, *, make: bool = True) -> None:
    """Raises StorageError unless the folder is there (it is made if `make`) and its owner's alone."""
    try:
        if make:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"{folder} cannot be used ({error.strerror or error})") from error
    _check_owner(folder, status)


def _check_owner(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if status.st_uid not in (os.geteuid(), 0):
        raise StorageError(f"{path} belongs to another user")
    if status.st_mode & _OTHERS_WRITE:
        raise StorageError(f"others than its owner can write to {path}: chmod go-w it")


def _set_aside(path: Path, why: str) -> None:
    target = path.with_name(f"damaged-{time.time_ns()}-{path.name}")
    with disk_errors(path):
        path.rename(target)
    logger.warning("%s is damaged (%s): set aside as %s and begun anew", path, why, target.name)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """The one lock of the state, waited for.

    Raises:
        StorageError: it cannot be made, or another process does not let go of it.
    """
    lock = FolderLock(folder, "lock", f"the state in {folder}")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            lock.acquire()
            break
        except LockedError as error:
            if time.monotonic() > deadline:
                raise StorageError(str(error)) from error
            time.sleep(0.01)
    try:
        yield
    finally:
        lock.release()
