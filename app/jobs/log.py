"""What a job wrote: a file that keeps its end only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

__all__ = ["KEPT_LINES", "LIMIT_BYTES", "open_log", "read_tail", "trim_log"]

KEPT_LINES = 200
LIMIT_BYTES = 256 * 1024  # a log that is longer is cut to its last lines


def open_log(path: Path) -> BinaryIO:
    """The log, to be written at its end. A link or a pipe that came with a copied home is not followed."""
    if not _is_plain(path):
        path.unlink(missing_ok=True)
    return path.open("ab")


def read_tail(path: Path) -> list[str]:
    """The last lines, at most KEPT_LINES; none if there is no log."""
    if not _is_plain(path):
        return []
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - LIMIT_BYTES // 2))
        return file.read().decode("utf-8", "replace").splitlines()[-KEPT_LINES:]


def trim_log(path: Path) -> None:
    """Cut a log that is too long, in place: whoever appends to it goes on at its end."""
    if _is_plain(path) and path.stat().st_size > LIMIT_BYTES:
        tail = "\n".join(read_tail(path)).encode("utf-8") + b"\n"
        with path.open("r+b") as file:
            file.truncate(0)
            file.write(tail)


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()
