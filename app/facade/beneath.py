"""Opening a file below a folder in such a way that no link leads out of it.

Each folder on the way is opened from the one above it, and none that is a link: what somebody puts there
between a look and the opening changes nothing.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from indexing.errors import BadInput

__all__ = ["NotServed", "open_beneath"]

_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# A pipe in place of a file would be waited for.
_FILE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_KNOWS_FOLDERS = bool(_NO_LINK) and os.open in os.supports_dir_fd


class NotServed(BadInput):
    """An original that is not shown; the message says why."""


def open_beneath(root: str, below: str, barred: Path) -> BinaryIO:
    """The file `below` a folder, a path with slashes, to be read. Nothing in the folder `barred` is opened.

    Raises:
        NotServed: there is no such file, the way to it leads over a link or into `barred`, or it is none.
    """
    parts = below.split("/")
    if any(part in ("", ".", "..") or "\0" in part or os.sep in part for part in parts):
        raise NotServed(f"{below!r} is no path below a folder")
    home = os.path.realpath(barred)
    if _is_within(os.path.realpath(root), home):
        raise NotServed(f"{below!r} lies in the folder of the collections, of which nothing is shown")
    try:
        number = _open_by_steps(root, parts, home) if _KNOWS_FOLDERS else _open_whole(root, parts, home)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no name of a file"
        raise NotServed(f"{below!r} cannot be opened in {root!r} without following a link: {why}") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise NotServed(f"{below!r} is no file that could be shown")
    return os.fdopen(number, "rb")


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _open_by_steps(root: str, parts: list[str], home: str) -> int:
    barred = _identity(home)
    folder = os.open(root, _FOLDER)
    try:
        for part in parts[:-1]:
            inner = os.open(part, _FOLDER | _NO_LINK, dir_fd=folder)
            os.close(folder)
            folder = inner
            found = os.fstat(folder)
            if (found.st_dev, found.st_ino) == barred:
                raise NotServed(f"{part!r} is the folder of the collections, of which nothing is shown")
        return os.open(parts[-1], _FILE | _NO_LINK, dir_fd=folder)
    finally:
        os.close(folder)


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = Path(folder).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open_whole(root: str, parts: list[str], home: str) -> int:
    """Where a system opens nothing from a folder: the path must be its own real one, before and after."""
    path = str(Path(os.path.realpath(root), *parts))
    number = os.open(path, _FILE)
    real, name = os.path.realpath(path), "/".join(parts)
    same = os.path.normcase(real) == os.path.normcase(path)
    try:
        if not same or not os.path.samestat(os.fstat(number), Path(real).stat()):
            raise NotServed(f"{name!r} is a link, or lies behind one")
        if _is_within(os.path.normcase(real), os.path.normcase(home)):
            raise NotServed(f"{name!r} lies in the folder of the collections, of which nothing is shown")
    except BaseException:
        os.close(number)
        raise
    return number
