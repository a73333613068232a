"""Files that were removed and may still be open: on POSIX a removed file lives as long as its readers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

__all__ = ["files_older_than", "moment_of", "processes_that_hold"]

_REMOVED = " (deleted)"


def moment_of(folder: Path) -> int:
    """The present moment by the clock of the disk that `folder` is on, in nanoseconds as files there have
    them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    marker = folder / f".moment-{os.getpid()}"
    try:
        marker.write_bytes(b"")
        os.utime(marker)
        return marker.stat().st_mtime_ns
    finally:
        marker.unlink(missing_ok=True)


def files_older_than(folder: Path, moment: int) -> list[Path]:
    """Files below `folder` that were written before a moment; links are not followed."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            with suppress(FileNotFoundError):
                if path.lstat().st_mtime_ns < moment:
                    found.append(path)
    return sorted(found)


def processes_that_hold(folder: Path) -> list[int] | None:
    """Processes that have removed files of `folder` open or mapped, of those that this user may look at; None
    where the system does not tell.
    """
    processes = Path("/proc")
    if not (processes / "self" / "maps").exists():
        return None
    inside = f"{os.path.realpath(folder)}/"
    return [
        int(process.name)
        for process in processes.iterdir()
        if process.name.isdigit() and any(_is_removed(name, inside) for name in _names(process))
    ]


def _is_removed(name: str, inside: str) -> bool:
    return name.endswith(_REMOVED) and name.startswith(inside)


def _names(process: Path) -> Iterator[str]:
    with suppress(OSError):
        for line in (process / "maps").read_text("utf-8", "replace").splitlines():
            yield line.partition("/")[1] + line.partition("/")[2]
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(descriptor)  # noqa: PTH115 - its text, not a path
