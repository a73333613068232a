"""The sign of life of those who run queued jobs: a file for each host, written while they look for some."""

from __future__ import annotations

import os
import re
import socket
import time
from contextlib import suppress

from app.jobs.place import JobsPlace
from indexing.storage.files import make_own_folder

__all__ = ["ALIVE_SECONDS", "Beat", "last_beat"]

ALIVE_SECONDS = 30.0
"""A worker that said nothing for so long hangs or is gone. It says something every few seconds."""

_EVERY_SECONDS = 3.0
_SUFFIX = ".beat"


class Beat:
    """Call it often; it writes now and then."""

    def __init__(self, place: JobsPlace) -> None:
        self._folder = place.folder
        self._path = place.folder / _name(socket.gethostname())
        self._said = 0.0

    def __call__(self) -> None:
        if time.monotonic() - self._said < _EVERY_SECONDS:
            return
        make_own_folder(self._folder)
        # A link that came with a copied home would have the file of somebody else written.
        flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with suppress(OSError):  # a disk that is full for a moment is no end of the work
            handle = os.open(self._path, flags, 0o600)
            try:
                os.utime(self._path)
            finally:
                os.close(handle)
        self._said = time.monotonic()

    def end(self) -> None:
        self._path.unlink(missing_ok=True)


def last_beat(place: JobsPlace, host: str | None = None) -> float | None:
    """How many seconds ago a worker said that it lives, on `host` or anywhere; None if none ever did."""
    names = place.folder.glob(f"worker-*{_SUFFIX}") if host is None else [place.folder / _name(host)]
    times = []
    for path in names:
        with suppress(OSError):
            times.append(path.lstat().st_mtime)
    return max(0.0, time.time() - max(times)) if times else None


def _name(host: str) -> str:
    return f"worker-{re.sub(r'[^A-Za-z0-9-]', '_', host)[:100]}{_SUFFIX}"
