"""One file to read, its bytes as text, and the test whether it is text at all."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexing.documents.options import ReadOptions
from indexing.documents.unpack import packing_of, unpack
from indexing.documents.unreadable import Unreadable

__all__ = ["MAX_WHOLE_FILE", "SourceFile", "Unreadable", "decode", "read_text", "text_lines"]

# A text, Markdown or HTML file is one document and is read whole. Past this size it is not a document
# a person would want as one answer, and its parse would need several times as much memory.
MAX_WHOLE_FILE = 256 * 2**20

_SNIFFED = 8192
_PIECE = 2**20
_NOTES_PER_FILE = 8
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16: its mark starts with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    b"%PDF-",
    b"PK\x03\x04",
    b"PAR1",
    b"\x7fELF",
    b"\x89PNG",
    b"GIF8",
    b"\xff\xd8\xff",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
)
_CONTROL = bytes(range(0x00, 0x20)).translate(None, b"\t\n\r\x0b\x0c\x08\x1b")
_FALLBACK = "cp1252"


@dataclass
class SourceFile:
    """A file that the walk found.

    `source` is how messages call it (the path as given), `name` what ids are made of (the path relative
    to the root that was given, posix style), `root` that root's real path, `format` the reader. Readers
    count `bytes_read` up as they go and put what a person should know, but lost nothing by, into `notes`.
    `options` say how to read it; `data` are the bytes of a part of a file (a member of an archive, what is
    attached to a mail). `modified` and `changed` (its content or its name) are in nanoseconds since 1970.
    """

    path: str
    source: str
    name: str
    format: str
    size: int = 0
    root: str = ""
    modified: int = 0
    changed: int = 0
    inode: int = 0
    options: ReadOptions = field(default_factory=ReadOptions)
    data: bytes | None = None
    inside: bool = False
    bytes_read: int = 0
    notes: list[str] = field(default_factory=list)

    def open(self) -> io.BufferedReader:
        """Its bytes, buffered; of a compressed file (`a.csv.gz`) what is in it, bounded (`Unreadable`)."""
        packing = packing_of(self.path)
        path, data = Path(self.path), self.data
        if packing is None:
            return path.open("rb") if data is None else io.BufferedReader(io.BytesIO(data))
        if data is None:
            return unpack(path.open("rb"), packing, path.stat().st_size)
        return unpack(io.BytesIO(data), packing, len(data))

    def member(self, name: str, data: bytes, format_: str) -> SourceFile:
        """A part of this file that `format_` reads, called `name` within it."""
        return replace(
            self,
            path=f"{self.path}#{name}",  # no file has this path, whatever the part is called
            source=f"{self.source}, {name}",
            name=f"{self.name}#{name}",
            format=format_,
            size=len(data),
            data=data,
            inside=True,
            bytes_read=0,
        )

    def gives_id(self, id_: str) -> bool:
        """Whether a document's id was made of this file's name."""
        return id_.startswith(self.name) and id_[len(self.name) : len(self.name) + 1] in ("", "#")

    def note(self, text: str) -> None:
        """Say something once; a file that gives cause for many different notes gets the first few."""
        if text not in self.notes and len(self.notes) <= _NOTES_PER_FILE:
            self.notes.append(
                text if len(self.notes) < _NOTES_PER_FILE else "gave cause for more notes like these"
            )

    def note_fallback(self) -> None:
        self.note("is not valid UTF-8: what is not was read as Windows-1252")


def read_text(file: SourceFile) -> str:
    """The whole file as text, with `\\n` line ends. Raises `Unreadable` if it is binary or too large."""
    return read_decoded(file, None).replace("\r\n", "\n").replace("\r", "\n")


def read_decoded(file: SourceFile, declared: re.Pattern[bytes] | None) -> str:
    """The whole file decoded; `declared` finds an encoding named inside the file, as HTML does."""
    data = read_data(file)
    text, fell_back = decode(data, declared)
    if fell_back:
        file.note_fallback()
    return text


def read_data(file: SourceFile) -> bytes:
    """All its bytes. Raises `Unreadable` if one document may not have so many."""
    if file.data is None and (size := Path(file.path).stat().st_size) > MAX_WHOLE_FILE:
        raise _too_large(f"is {size / 2**20:.0f} MiB")
    pieces: list[bytes] = []
    with file.open() as stream:
        while piece := stream.read(_PIECE):
            pieces.append(piece)
            file.bytes_read += len(piece)
            if file.bytes_read > MAX_WHOLE_FILE:
                raise _too_large(f"unfolds to more than {MAX_WHOLE_FILE / 2**20:.0f} MiB")
    return b"".join(pieces)


def _too_large(how: str) -> Unreadable:
    return Unreadable(
        f"{how}, one document may have {MAX_WHOLE_FILE // 2**20} MiB; "
        "split it, or turn it into JSONL with one passage a line"
    )


def decode(data: bytes, declared: re.Pattern[bytes] | None = None) -> tuple[str, bool]:
    """(text, whether Windows-1252 had to be assumed). Raises `Unreadable` for what looks binary.

    A byte order mark wins, then UTF-16 seen by its NUL bytes, then the encoding `declared` in the first
    4 KiB, then UTF-8. Windows-1252 is the last resort because it is what text that is none of these
    nearly always is, and every byte has a reading in it.
    """
    encoding = _sniff(data[:_SNIFFED])
    if encoding == "utf-8" and declared is not None:
        encoding = _declared_encoding(data, declared)
    try:
        return data.decode(encoding), False
    except UnicodeDecodeError:
        if encoding.startswith("utf-16") or encoding == "utf-32":
            return data.decode(encoding, "replace"), False
        return data.decode(_FALLBACK, "replace"), True


def text_lines(file: SourceFile) -> Iterator[str]:
    """The lines of a file of any length, each with its line end, decoded one by one.

    A line that is not UTF-8 is read as Windows-1252 and the file gets a note. Raises `Unreadable` when
    the first 8 KiB look binary.
    """
    with file.open() as stream:
        encoding = _sniff(stream.peek(_SNIFFED)[:_SNIFFED])
        if encoding.startswith("utf-16") or encoding == "utf-32":
            with io.TextIOWrapper(stream, encoding, errors="replace", newline="\n") as lines:
                for line in lines:
                    file.bytes_read = stream.tell()
                    yield line
            return
        if encoding == "utf-8-sig":
            file.bytes_read += len(stream.read(len(codecs.BOM_UTF8)))
        for raw in stream:
            file.bytes_read += len(raw)
            try:
                yield raw.decode()
            except UnicodeDecodeError:
                file.note_fallback()
                yield raw.decode(_FALLBACK, "replace")


def _sniff(head: bytes) -> str:
    """The encoding the first bytes tell; `utf-8` when they tell nothing. Raises `Unreadable` if binary."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if b"\x00" in head:
        wide = _utf16_by_nul(head)
        if wide:
            return wide
        raise Unreadable("looks binary, not text")
    controls = len(head) - len(head.translate(None, _CONTROL))
    # A stray control character happens in real text; one byte in fifty of them does not.
    if head.startswith(_MAGIC) or controls > 1 + len(head) // 50:
        raise Unreadable("looks binary, not text")
    return "utf-8"


def _utf16_by_nul(head: bytes) -> str | None:
    """UTF-16 without a mark: western text has NUL in nearly every other byte, always on the same side."""
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd > 0.7 * pairs and even == 0:
        return "utf-16-le"
    if even > 0.7 * pairs and odd == 0:
        return "utf-16-be"
    return None


def _declared_encoding(data: bytes, declared: re.Pattern[bytes]) -> str:
    found = declared.search(data[:4096])
    if not found:
        return "utf-8"
    try:
        name = codecs.lookup(found.group(1).decode("ascii", "replace")).name
        "".encode(name)  # refuses codecs that are not text encodings, such as base64
    except LookupError:
        return "utf-8"
    if name.startswith(("utf-16", "utf-32")):
        return "utf-8"  # the declaration was read as ASCII, so it cannot be true
    # What browsers do: pages that say Latin-1 or ASCII mean Windows-1252.
    return _FALLBACK if name in ("iso8859-1", "ascii") else name
