"""The side that asks: one child for each picture, which has so much time, memory and output."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from indexing.errors import BadInput

__all__ = ["NoPicture", "PagePicture", "draw_page"]

_SECONDS = 20.0  # a page of scanned pictures takes one or two
_MEMORY = 2 * 2**30  # bytes of address space: pixels of the largest picture are 8 MB of it
_MOST_OUTPUT = 24 * 2**20  # a picture of noise of that size
_LONGEST_PASSAGE = 8_000  # characters that are looked for on the page
_PNG = b"\x89PNG\r\n\x1a\n"

# As in `indexing.documents.isolate`: a folder of documents may hold a file called json.py.
_BOOTSTRAP = (
    "import json, sys; options = json.loads(sys.argv[1]); sys.path[:] = options.pop('path'); "
    "from app.pictures.child import main; main(**options)"
)


class NoPicture(BadInput):
    """A page of which no picture could be made; the message says why."""


@dataclass(frozen=True)
class PagePicture:
    """A page, from 1, of `pages`, as a PNG; `marked` says whether the passage was found on it."""

    png: bytes
    page: int
    pages: int
    marked: bool


def draw_page(file: BinaryIO, page: int, passage: str = "", *, seconds: float = _SECONDS) -> PagePicture:
    """The page of the PDF `file` as a picture, with the words of `passage` marked where they stand on it.

    A page beyond the last one is the last one.

    Raises:
        NoPicture: the file is damaged, protected by a password, or takes too long or too much.
    """
    process = _start(file, page, passage[:_LONGEST_PASSAGE], seconds)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        answer = process.stdout.read(_MOST_OUTPUT + 1)
    finally:
        late = not timer.is_alive()
        timer.cancel()
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    if late:
        raise NoPicture(f"no picture of the page was ready within {seconds:g} seconds: open the file itself")
    return _read_answer(answer)


def _start(file: BinaryIO, page: int, passage: str, seconds: float) -> subprocess.Popen[bytes]:
    options = {
        "path": [str(Path(entry).absolute()) for entry in sys.path if entry],
        "page": page,
        "passage": passage,
        "memory": _MEMORY,
        "seconds": seconds,
    }
    file.seek(0)
    return subprocess.Popen(  # noqa: S603 - this interpreter, running this package
        [sys.executable, "-I", "-X", "utf8", "-c", _BOOTSTRAP, json.dumps(options)],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _read_answer(answer: bytes) -> PagePicture:
    """What the child said: a line of JSON, then the picture. It has read a foreign file: all is checked."""
    head, _, png = answer.partition(b"\n")
    try:
        told = json.loads(head)
        page, pages, marked = told["page"], told["pages"], told["marked"]
        whole = type(page) is int and type(pages) is int and 1 <= page <= pages and type(marked) is bool
    except (ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole or not png.startswith(_PNG) or len(answer) > _MOST_OUTPUT:
        raise NoPicture("no picture could be made of the page: the file is damaged, protected or too large")
    return PagePicture(png, page, pages, marked)
