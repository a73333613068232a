"""One file to read, its bytes as text, and the test whether it is text at all."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from indexing.documents.binary import looks_binary, looks_like_jis, unmarked_utf16
from indexing.documents.encodings import codec_of, decode_with, guess_codec, name_of
from indexing.documents.options import ReadOptions
from indexing.documents.part import Part
from indexing.documents.unpack import packing_of, unpack
from indexing.documents.unreadable import Unreadable

__all__ = [
    "MAX_WHOLE_FILE",
    "NOT_TEXT",
    "Decoded",
    "SourceFile",
    "Unreadable",
    "decode",
    "decode_declared",
    "has_one_encoding",
    "read_data",
    "read_decoded",
    "read_text",
    "text_encoding",
    "text_lines",
]

# A text, Markdown or HTML file is one document and is read whole. Past this size it is not a document
# a person would want as one answer, and its parse would need several times as much memory.
MAX_WHOLE_FILE = 256 * 2**20
NOT_TEXT = "looks binary, not text"

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
_BEYOND_ASCII = re.compile("[^\x00-\x7f\ufffd]+")
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)


@dataclass
class SourceFile:
    """A file that the walk found.

    `source` is how messages call it (the path as given), `name` what ids are made of (the path relative
    to the root that was given, posix style), `root` that root's real path, `format` the reader. Readers
    count `bytes_read` up as they go and put what a person should know, but lost nothing by, into `notes`.
    `options` say how to read it; `data` are the bytes of what lies in a file (a member of an archive, what is
    attached to a mail). Of a file with a `part` only that is read, and `size` is that of the part. `modified`
    and `changed` (its content or its name) are in nanoseconds since 1970.
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
    part: Part | None = None
    bytes_read: int = 0
    notes: list[str] = field(default_factory=list)

    def open(self) -> io.BufferedReader:
        """Its bytes, buffered; of a compressed file (`a.csv.gz`) what is in it, bounded (`Unreadable`)."""
        packing = packing_of(self.path)
        path, data = Path(self.path), self.data
        if packing is None:
            if data is not None:
                return io.BufferedReader(io.BytesIO(data))
            return path.open("rb") if self.part is None else self.part.bytes_of(path.open("rb"))
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


class Decoded(NamedTuple):
    """A text, and what a person should know about how it was read ("" for nothing)."""

    text: str
    note: str = ""


def read_text(file: SourceFile) -> str:
    """The whole file as text, with `\\n` line ends. Raises `Unreadable` if it is binary or too large."""
    text = read_decoded(file, None)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def read_decoded(file: SourceFile, declared: re.Pattern[bytes] | None) -> str:
    """The whole file decoded, without NUL; `declared` finds labels of encodings in the file, as HTML has."""
    text, note = decode(read_data(file), declared)
    if note:
        file.note(note)
    return text.replace("\x00", "") if "\x00" in text else text


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


def decode(data: bytes, declared: re.Pattern[bytes] | None = None) -> Decoded:
    """Bytes as the text they were meant to be. Raises `Unreadable` for what looks binary.

    A byte order mark wins, then UTF-16 that shows without one, then the first label that browsers know among
    those `declared` finds in the first 4 KiB, then UTF-8. What is none of these is UTF-8 with bad bytes where
    most of its characters beyond ASCII are good ones, else the encoding it looks most like. A declaration
    that is false, as the text is valid UTF-8 and not valid in it, is not believed.
    """
    encoding = _sniff(data[:_SNIFFED])
    if encoding != "utf-8":
        return _noted(encoding, *decode_with(data, encoding))
    if declared is not None:
        encoding = _declared_encoding(data, declared)
    return _decode_undeclared(data) if encoding == "utf-8" else _decode_as(data, encoding)


def decode_declared(data: bytes, label: str) -> Decoded:
    """Bytes whose encoding somebody names, as the header of a mail does; as `decode` where it is no name."""
    encoding = codec_of(label)
    if encoding is None or encoding == "utf-8" or data.startswith(tuple(mark for mark, _ in _BOMS)):
        return decode(data)
    return _decode_as(data, encoding)


def _decode_as(data: bytes, encoding: str) -> Decoded:
    text, bad = decode_with(data, encoding)
    if bad:
        try:
            return Decoded(data.decode())
        except UnicodeDecodeError:
            pass
    return _noted(encoding, text, bad)


def _decode_undeclared(data: bytes) -> Decoded:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        pass
    else:
        return Decoded(data.decode("iso2022_jp", "replace") if looks_like_jis(data) else text)
    text, bad = decode_with(data, "utf-8")
    if not _needs_guess(text, bad):
        return _noted("utf-8", text, bad)
    codec = guess_codec(data)
    return Decoded(decode_with(data, codec)[0], f"is not valid UTF-8: read as {name_of(codec)}")


def has_one_encoding(data: bytes) -> bool:
    """Whether lines are read the same wherever a file of them is cut: as UTF-8, even if some have bad bytes.
    In others an encoding is guessed, for this line and all that follow.
    """
    try:
        data.decode()
    except UnicodeDecodeError:
        return not any(_needs_guess(*decode_with(line, "utf-8")) for line in data.split(b"\n"))
    return True


def text_encoding(file: SourceFile) -> str:
    """What its first bytes tell of its encoding, as a codec; `utf-8` where they tell nothing. Raises
    `Unreadable` if it looks binary.
    """
    with file.open() as stream:
        return _sniff(stream.peek(_SNIFFED)[:_SNIFFED])


def _needs_guess(text: str, replaced: int) -> bool:
    """Whether a text that was decoded as UTF-8 with `replaced` bad characters is rather none."""
    return _good_beyond_ascii(text) < replaced


def _good_beyond_ascii(text: str) -> int:
    """How many characters of a text decoded with replacements were read as more than one byte."""
    return sum(map(len, _BEYOND_ASCII.findall(text)))


def _noted(encoding: str, text: str, bad: int) -> Decoded:
    if not bad:
        return Decoded(text)
    characters = "1 character" if bad == 1 else f"{bad:,} characters"
    return Decoded(
        text,
        f"has {characters} that {'is' if bad == 1 else 'are'} not valid {name_of(encoding)}: read as \ufffd",
    )


def text_lines(file: SourceFile) -> Iterator[str]:
    """The lines of a file of any length, each with its line end and without NUL, decoded one by one.

    A line that is not UTF-8 is judged as `decode` judges a file, so that rows of different origin stay what
    they are; the encoding is guessed once. Raises `Unreadable` when the first 8 KiB look binary. A part of a
    file that is not its beginning has neither a mark nor an encoding of its own: it is UTF-8.
    """
    with file.open() as stream:
        begins = file.part is None or file.part.is_start
        encoding = _sniff(stream.peek(_SNIFFED)[:_SNIFFED]) if begins else "utf-8"
        if encoding.startswith("utf-8"):
            lines = _plain_lines(file, stream, marked=begins)
        else:
            lines = _wide_lines(file, stream, encoding)
        for line in lines:
            yield line.replace("\x00", "") if "\x00" in line else line


def _wide_lines(file: SourceFile, stream: BinaryIO, encoding: str) -> Iterator[str]:
    with io.TextIOWrapper(stream, encoding, errors="replace", newline="\n") as lines:
        for line in lines:
            file.bytes_read = stream.tell()
            yield line


def _plain_lines(file: SourceFile, stream: io.BufferedReader, *, marked: bool) -> Iterator[str]:
    if marked and stream.peek(len(codecs.BOM_UTF8)).startswith(codecs.BOM_UTF8):
        file.bytes_read += len(stream.read(len(codecs.BOM_UTF8)))
    bad, guessed, codec = 0, 0, ""
    try:
        for raw in stream:
            file.bytes_read += len(raw)
            try:
                text = raw.decode()
                yield raw.decode("iso2022_jp", "replace") if looks_like_jis(raw) else text
                continue
            except UnicodeDecodeError:
                text, replaced = decode_with(raw, "utf-8")
            if not codec and not _needs_guess(text, replaced):
                bad += replaced
            else:
                codec = codec or guess_codec(raw + stream.peek(_SNIFFED))
                guessed += 1
                text = decode_with(raw, codec)[0]
            yield text
    finally:
        if bad:
            file.note(_noted("utf-8", "", bad).note)
        if guessed:
            lines = "1 line that is" if guessed == 1 else f"{guessed:,} lines that are"
            file.note(f"has {lines} not valid UTF-8: read as {name_of(codec)}")


def _sniff(head: bytes) -> str:
    """The encoding the first bytes tell; `utf-8` when they tell nothing. Raises `Unreadable` if binary."""
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    wide = unmarked_utf16(head)
    if wide:
        return wide
    if looks_binary(head):
        raise Unreadable(NOT_TEXT)
    return "utf-8"


def _declared_encoding(data: bytes, declared: re.Pattern[bytes]) -> str:
    head = _COMMENT.sub(b"", data[:4096])
    for found in declared.finditer(head):
        encoding = codec_of(found.group(1).decode("ascii", "replace"))
        if encoding:
            return encoding
    return "utf-8"
