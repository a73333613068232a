"""Mail as Outlook keeps it (.msg): an OLE file whose streams are the properties of a message (MS-OXMSG).

Read by `olefile`, which only finds the streams; what they mean is read here. A .msg file that holds mail as
it travels, as other programs write it, is read as that.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

from indexing.documents.formats import mail, read_file
from indexing.documents.formats.bounded import open_seekable
from indexing.documents.formats.html import html_text
from indexing.documents.formats.letters import Attached, Letter, letter_items, utc_text
from indexing.documents.formats.mime import decode_part, parse_letter
from indexing.documents.formats.registry import format_of
from indexing.documents.formats.rtf_packing import unpack_rtf
from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["read"]

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MAX_STREAM = 64 * 2**20
_MAX_PARTS = 500
_EPOCH = datetime(1601, 1, 1, tzinfo=timezone.utc)
# Tags of properties (MS-OXPROPS).
_SUBJECT, _SENDER, _SENDER_SMTP, _HEADERS, _MESSAGE_ID = 0x0037, 0x0C1A, 0x5D01, 0x007D, 0x1035
_SENDER_ADDRESS, _SENT_FOR, _DISPLAY_TO, _DISPLAY_CC = 0x0C1F, 0x0042, 0x0E04, 0x0E03
_SENT, _DELIVERED, _BODY, _HTML, _RTF = 0x0039, 0x0E06, 0x1000, 0x1013, 0x1009
_NAME, _ADDRESS, _SMTP, _KIND = 0x3001, 0x3003, 0x39FE, 0x0C15
_FILE_NAME, _SHORT_NAME, _DATA, _MIME_TYPE, _CONTENT_ID = 0x3707, 0x3704, 0x3701, 0x370E, 0x3712
_CODEPAGE, _INTERNET_CODEPAGE = 0x3FFD, 0x3FDE


def read(file: SourceFile) -> Iterator[Item]:
    import olefile

    with open_seekable(file) as stream:
        if stream.read(len(_OLE)) != _OLE:
            yield from mail.read(file)
            return
        stream.seek(0)
        try:
            container = olefile.OleFileIO(stream, raise_defects=olefile.DEFECT_FATAL)
        except (OSError, struct.error, IndexError, ValueError) as error:
            raise Unreadable(f"is not a valid .msg file: {error}") from error
        with container:
            if not container.exists("__properties_version1.0"):
                raise Unreadable("is not a mail of Outlook, though it is called .msg")
            letter = _read_message(file, _Storage(container, (), 32), 0)
    file.bytes_read = file.size
    yield from letter_items(file, letter)


class _Storage:
    """A message, receiver or attachment: a folder of streams within the file, one for each property."""

    def __init__(self, container: Any, path: tuple[str, ...], header: int, charset: str = "cp1252") -> None:
        self.container, self.path = container, path
        self.charset = charset
        self._fixed = self._read_fixed(header)
        for tag in (_CODEPAGE, _INTERNET_CODEPAGE):
            if page := struct.unpack("<I", self._fixed.get(tag, b"\0" * 4)[:4])[0]:
                self.charset = {65001: "utf-8", 20127: "cp1252", 28591: "cp1252"}.get(page, f"cp{page}")
                break

    def text(self, tag: int) -> str:
        """A property that is text; empty where there is none."""
        wide = self.stream(tag, "001F")
        if wide is not None:
            return wide.decode("utf-16-le", "replace").replace("\0", "")
        narrow = self.stream(tag, "001E")
        return decode_part(narrow, self.charset).replace("\0", "") if narrow is not None else ""

    def stream(self, tag: int, kind: str = "0102") -> bytes | None:
        return self._open(f"__substg1.0_{tag:04X}{kind}")

    def number(self, tag: int) -> int:
        return int.from_bytes(self._fixed.get(tag, b"")[:4], "little")

    def moment(self, tag: int) -> str:
        ticks = int.from_bytes(self._fixed.get(tag, b""), "little")
        try:
            return utc_text(_EPOCH + timedelta(microseconds=ticks // 10)) if ticks else ""
        except OverflowError:
            return ""

    def children(self, prefix: str) -> Iterator[tuple[str, ...]]:
        """Paths of the storages directly in this one whose names begin with `prefix`."""
        depth = len(self.path)
        names = {
            entry[depth]
            for entry in self.container.listdir(streams=True, storages=True)
            if len(entry) > depth and tuple(entry[:depth]) == self.path and entry[depth].startswith(prefix)
        }
        return ((*self.path, name) for name in sorted(names)[:_MAX_PARTS])

    def _read_fixed(self, header: int) -> dict[int, bytes]:
        """Properties of fixed size: tag to its eight bytes."""
        data = (self._open("__properties_version1.0") or b"")[header:]
        entries = (data[at : at + 16] for at in range(0, len(data) - 15, 16))
        return {int.from_bytes(entry[2:4], "little"): entry[8:16] for entry in entries}

    def _open(self, name: str) -> bytes | None:
        path = [*self.path, name]
        try:
            if self.container.get_type(path) != 2 or self.container.get_size(path) > _MAX_STREAM:  # a stream
                return None
            return self.container.openstream(path).read()
        except (OSError, struct.error, IndexError, ValueError):  # a damaged chain of sectors
            return None


def _read_message(file: SourceFile, message: _Storage, depth: int) -> Letter:
    sent = message.text(_HEADERS)
    letter = parse_letter(sent.encode("utf-8", "surrogateescape")) if sent else Letter()
    letter.body = _body(file, message)
    letter.attached = []
    letter.subject = " ".join(message.text(_SUBJECT).split()) or letter.subject
    letter.sender = letter.sender or _person(
        message.text(_SENDER) or message.text(_SENT_FOR),
        message.text(_SENDER_SMTP),
        message.text(_SENDER_ADDRESS),
    )
    if not letter.to and not letter.cc:
        letter.to, letter.cc = _receivers(message)
    letter.date = message.moment(_SENT) or letter.date or message.moment(_DELIVERED)
    if depth == 0:
        letter.attached = list(_attachments(file, message))
    return letter


def _body(file: SourceFile, message: _Storage) -> str:
    """Plain text if there is any, else HTML, else what RTF says."""
    if (plain := message.text(_BODY)).strip():
        return plain.replace("\r\n", "\n").replace("\r", "\n")
    html = message.text(_HTML) or decode_part((message.stream(_HTML) or b"").rstrip(b"\0"), message.charset)
    if html.strip() and (text := html_text(html)[1]):
        return text
    packed = message.stream(_RTF)
    if packed and format_of("body.rtf"):
        part = file.member("body.rtf", unpack_rtf(packed), "rtf")
        return "\n\n".join(item.text for item in read_file(part) if isinstance(item, Document))
    return ""


def _receivers(message: _Storage) -> tuple[list[str], list[str]]:
    to: list[str] = []
    cc: list[str] = []
    for path in message.children("__recip_version1.0_"):
        one = _Storage(message.container, path, 8, message.charset)
        person = _person(one.text(_NAME), one.text(_SMTP), one.text(_ADDRESS))
        if person:
            (cc if one.number(_KIND) == 2 else to).append(person)
    if to or cc:
        return to, cc
    shown = (message.text(tag).split(";") for tag in (_DISPLAY_TO, _DISPLAY_CC))
    to, cc = ([name.strip() for name in names if name.strip()] for names in shown)
    return to, cc


def _person(name: str, *addresses: str) -> str:
    """The first address that is one of the internet; those of an Exchange server say nothing to a person."""
    name = name.strip(" '\"")
    address = next((one.strip() for one in addresses if "@" in one and one[:1] != "/"), "")
    return f"{name} <{address}>" if name and address and name != address else name or address


def _attachments(file: SourceFile, message: _Storage) -> Iterator[Attached]:
    for path in message.children("__attach_version1.0_"):
        one = _Storage(message.container, path, 8, message.charset)
        name = one.text(_FILE_NAME) or one.text(_SHORT_NAME) or one.text(_NAME)
        inner = (*path, f"__substg1.0_{_DATA:04X}000D")
        if message.container.get_type(list(inner)) == 1:  # a storage: another message
            letter = _read_message(file, _Storage(message.container, inner, 24, message.charset), 1)
            yield Attached(letter.subject or name or "message", letter=letter)
        elif data := one.stream(_DATA):
            kind = one.text(_MIME_TYPE).lower()
            yield Attached(name or "unnamed", data, kind, inline=bool(one.text(_CONTENT_ID)))
