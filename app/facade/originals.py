"""The file that a document was read from, to be looked at: pages as pictures, lines of text, or as it is.

A file is shown where it lies below a folder that a person of this machine named as a source, outside the home
of the collections, and without following a link on the way to it. Nothing of it is run or rendered by a
browser: PDF pages become pictures in a process of their own, text stays text, and anything else, HTML and SVG
above all, is handed out as a file to keep.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal
from urllib.parse import quote

from app.facade.beneath import NotServed, open_beneath
from app.facade.caller import Caller, require
from app.pictures import PagePicture, draw_page
from app.settings import Location
from indexing.documents.source import SourceFile, read_text
from indexing.documents.unreadable import Unreadable
from indexing.storage.paths import home_folder

if TYPE_CHECKING:
    from indexing import Collection, Result

__all__ = [
    "MOST_BYTES",
    "Download",
    "Lines",
    "Original",
    "draw_original_page",
    "find_original",
    "read_original",
    "read_original_lines",
]

MOST_BYTES = 64 * 2**20
"""Of a file that is handed out, and of a PDF: it is held in memory while somebody looks at it."""

_MOST_TEXT = 4 * 2**20  # bytes of a file that is read whole to show some of its lines, and of lines
_MOST_SEEN = 512 * 2**20  # bytes that are looked through for a line of a larger one: a second
_LINES_AROUND = 300  # lines shown before and after the one that answers
_LONGEST_LINE = 2_000  # characters
_SNIFFED = 64 * 2**10

# What a browser would run, or load other things for, if it were served as what it is.
_ACTIVE = frozenset({".htm", ".html", ".mht", ".mhtml", ".shtml", ".svg", ".svgz", ".xht", ".xhtml"})
_PACKED = frozenset({".bz2", ".gz", ".xz", ".zip", ".zst"})

Kind = Literal["pdf", "text", "file"]


@dataclass(frozen=True)
class Original:
    """A file that may be shown.

    Attributes:
        root: the folder of its source, a real path; `below` is the path of the file in it, with slashes.
        kind: how it is shown: `pdf` by pages, `text` by lines, any other `file` only handed out.
        size: in bytes, when it was looked for.
        barred: the home of the collections, of which nothing is shown.
    """

    root: str
    below: str
    kind: Kind
    size: int
    barred: Path

    @property
    def name(self) -> str:
        return posixpath.basename(self.below)

    @property
    def path(self) -> str:
        return f"{self.root.rstrip('/')}/{self.below}"

    def open(self) -> BinaryIO:
        """To be read, opened anew without following links.

        Raises:
            NotServed: it is gone, or there is a link now.
        """
        if os.path.realpath(self.root) != self.root:
            raise NotServed(f"{self.root!r} is a link by now, or lies behind one: nothing behind it is shown")
        return open_beneath(self.root, self.below, self.barred)


@dataclass(frozen=True)
class Lines:
    """Lines of a text: `lines` from number `first` on, of `total` in the file, which of a large one are not
    counted; `marked` is (first, last) of those that answer, None where nobody knows.
    """

    first: int
    lines: tuple[str, ...]
    total: int | None
    marked: tuple[int, int] | None


@dataclass(frozen=True)
class Download:
    """A file to keep, of a type that no browser renders, whatever is in it."""

    name: str
    data: bytes
    media_type: str = "application/octet-stream"

    def headers(self) -> Mapping[str, str]:
        """With which a server of HTTP hands it out: to be kept, never rendered, never guessed at."""
        return {
            "Content-Type": self.media_type,
            "Content-Disposition": f"attachment; filename*=utf-8''{quote(self.name, safe='')}",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "Cache-Control": "private, no-store",
        }


def find_original(caller: Caller, location: Location, collection: Collection, document: str) -> Original:
    """The file of a document.

    Raises:
        NotAllowed: the caller may not search.
        NotServed: it is of no source, of one that nobody confirmed on this machine, or cannot be opened.
    """
    require(caller, "search", collection)
    found = collection.source_of(document)
    if found is None:
        raise NotServed(
            "this document was not read from a folder the collection is kept in step with, and only from "
            f"such a one files are shown: `stlib index {collection.name} FOLDER` makes it one"
        )
    source, below = found
    if not source.confirmed:
        raise NotServed(
            f"the folder {source.root!r} was never confirmed on this machine, and nothing of it is shown: "
            f"`stlib sync {collection.name}` asks about it"
        )
    looked_at = Original(source.root, below, "file", 0, home_folder(location.home))
    with looked_at.open() as file:
        size = os.fstat(file.fileno()).st_size
        kind = _kind_of(looked_at.name, file.read(_SNIFFED))
    return Original(source.root, below, kind, size, looked_at.barred)


def draw_original_page(original: Original, page: int, passage: str = "") -> PagePicture:
    """A page of a PDF, from 1, with `passage` marked.

    Raises:
        NotServed: it cannot be opened any more, or is too large.
        NoPicture: it is damaged, protected, or takes too long.
    """
    with original.open() as file:
        _check_size(original, file)
        return draw_page(file, page, passage)


def read_original_lines(original: Original, result: Result) -> Lines:
    """The lines of a text around those of the snippet of `result`.

    Raises:
        NotServed: it cannot be opened any more, or is no text.
    """
    line = result.place.line
    begin = 1 if line is None else max(1, line - _LINES_AROUND)
    with original.open() as file:
        large = os.fstat(file.fileno()).st_size > _MOST_TEXT
        data = _read_lines(file, begin, begin + 2 * _LINES_AROUND) if large else file.read(_MOST_TEXT)
    try:
        text = _decode(original.name, data)
    except Unreadable as error:
        raise NotServed(f"{original.name!r} is no text any more: {error}") from error
    lines = re.split("\r\n|\r|\n", text)
    offset = begin - 1 if large else 0  # lines before those in `text`
    marked = _marked_lines(result, offset + len(lines))
    first = max(begin, offset + 1)
    last = min(offset + len(lines), (marked[1] if marked else first) + _LINES_AROUND)
    shown = tuple(line[:_LONGEST_LINE] for line in lines[first - 1 - offset : last - offset])
    return Lines(first, shown, None if large else len(lines), marked)


def _read_lines(file: BinaryIO, first: int, last: int) -> bytes:
    """Those lines of a large file, as far as they are found in its first bytes and fit into memory."""
    kept: list[bytes] = []
    number, seen, size = 1, 0, 0
    while number <= last and seen < _MOST_SEEN and (piece := file.readline(_SNIFFED)):
        seen += len(piece)
        if number >= first and size < _MOST_TEXT:
            kept.append(piece)
            size += len(piece)
        number += piece.endswith(b"\n")
    return b"".join(kept).removesuffix(b"\n")


def read_original(original: Original) -> Download:
    """The file as it is.

    Raises:
        NotServed: it cannot be opened any more, or is too large.
    """
    with original.open() as file:
        _check_size(original, file)
        data = file.read(MOST_BYTES)
    return Download(original.name, data)


def _kind_of(name: str, start: bytes) -> Kind:
    suffix = posixpath.splitext(name)[1].lower()
    if suffix in _ACTIVE | _PACKED:
        return "file"
    if suffix == ".pdf":
        return "pdf" if b"%PDF-" in start[:1024] else "file"
    try:
        text = _decode(name, start)
    except Unreadable:
        return "file"
    return "file" if "\0" in text else "text"


def _decode(name: str, data: bytes) -> str:
    """As the readers do. Raises `Unreadable` for what is no text."""
    return read_text(SourceFile(name, name, name, "text", len(data), data=data))


def _check_size(original: Original, file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    if size > MOST_BYTES:
        raise NotServed(
            f"{original.name!r} has {size / 2**20:,.0f} MiB, and up to {MOST_BYTES / 2**20:.0f} MiB are shown"
            f" here: open {original.path} itself"
        )


def _marked_lines(result: Result, total: int) -> tuple[int, int] | None:
    line = result.place.line
    if line is None or line > total:
        return None
    return line, min(total, line + result.snippet.text.rstrip("\n").count("\n"))
