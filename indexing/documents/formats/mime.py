"""A letter from its bytes as they travel (MIME).

Parsed by the standard library in its plain mode: its richer one takes time to the square of some headers.
Text is preferred to HTML where a letter brings both. Nothing raises: what is broken is read as text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.policy import Compat32
from email.utils import getaddresses, parsedate_to_datetime

from indexing.documents.formats.html import html_text
from indexing.documents.formats.letters import Attached, Letter, utc_text
from indexing.documents.source import Unreadable, decode

__all__ = ["decode_part", "parse_letter"]

_MAX_DEPTH = 30
# Parameters of a header are parsed in time to the square of their number.
_LONGEST_HEADER, _LONGEST_PARAMETERS, _LONGEST_WORDS = 64 * 1024, 2 * 1024, 16 * 1024
_MAX_PARTS = 2_000
_FLOWED = re.compile(r"(?m)(?<!^--)(?<=[^\n ]) \n(?![> \n])")  # but for the line that begins a signature
# What programs name without looking, and what they mean where they name a part of it.
_BY_LOOKS = frozenset(("", "us-ascii", "ascii", "iso-8859-1", "latin1", "unknown-8bit", "utf-8", "utf8"))
_SUPERSETS = {
    "big5": "big5hkscs",
    "euc-kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-9": "cp1254",
    "ks_c_5601-1987": "cp949",
    "shift_jis": "cp932",
    "tis-620": "cp874",
    "unicode-1-1-utf-7": "utf-7",
    "windows-874": "cp874",
    "windows-950": "cp950",
}
_INLINE_TEXTS = ("text/plain", "text/html")


def parse_letter(data: bytes) -> Letter:
    """The letter in `data`. One of absurdly many parts gives its headers, and the rest as it is."""
    head, gap, body = data.partition(b"\n\n")
    if data.lower().count(b"multipart/") + data.count(b"message/rfc822") > _MAX_PARTS:
        message = message_from_bytes(head + gap, policy=_POLICY)
        return _with_headers(message, Letter(body=decode_part(body[: 2**20])))
    try:
        message = message_from_bytes(data, policy=_POLICY)
        return _read_message(message, 0)
    except RecursionError:
        return _with_headers(message_from_bytes(head + gap, policy=_POLICY), Letter(body=decode_part(body)))


def decode_part(data: bytes, charset: str = "") -> str:
    """Bytes of a letter as text: in the charset that it names, else by what they look like."""
    charset = charset.lower()
    try:
        if charset not in _BY_LOOKS:
            return data.decode(_SUPERSETS.get(charset, charset), "replace")
        return decode(data)[0]
    except (LookupError, Unreadable, ValueError):
        return data.decode("utf-8", "replace")


class _Plain(Compat32):
    """Headers as they were sent, cut where their parsing would take without end."""

    def header_source_parse(self, sourcelines: Sequence[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(list(sourcelines))
        structured = name.lower().startswith("content-")
        return name, value[: _LONGEST_PARAMETERS if structured else _LONGEST_HEADER]

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


_POLICY = _Plain()


def _read_message(message: Message, depth: int) -> Letter:
    letter = Letter()
    letter.body = "\n\n".join(piece for piece in _read_part(message, letter, depth) if piece.strip())
    return _with_headers(message, letter)


def _with_headers(message: Message, letter: Letter) -> Letter:
    letter.id = _header(message, "Message-ID").strip("<> ")
    letter.subject = _header(message, "Subject")
    letter.sender = ", ".join(_people(message, "From")[:3])
    letter.to, letter.cc = _people(message, "To"), _people(message, "Cc")
    try:
        letter.date = utc_text(parsedate_to_datetime(_header(message, "Date")))
    except (ValueError, TypeError, IndexError, OverflowError):
        letter.date = ""
    return letter


def _read_part(part: Message, letter: Letter, depth: int) -> list[str]:
    """The texts of a part and of those in it; what is attached goes into `letter`."""
    kind = part.get_content_type()
    if depth > _MAX_DEPTH:
        return []
    if kind == "message/rfc822":
        for inner in _parts(part):
            found = _read_message(inner, depth + 1)
            letter.attached.append(Attached(_name(part) or found.subject or "message", letter=found))
        return []
    if kind == "multipart/alternative":
        return _best(part, letter, depth)
    if part.is_multipart():
        return [text for inner in _parts(part) for text in _read_part(inner, letter, depth + 1)]
    name = _name(part)
    unparted = kind.startswith("multipart/")  # declared to have parts and has none
    if unparted or (kind in _INLINE_TEXTS and part.get_content_disposition() != "attachment" and not name):
        return [_text(part, kind)]
    _attach(part, kind, name, letter)
    return []


def _best(part: Message, letter: Letter, depth: int) -> list[str]:
    """Of several forms of one text the plain one if it says anything, else the last that does."""
    forms = [(inner.get_content_type(), _read_part(inner, letter, depth + 1)) for inner in _parts(part)]
    says = [(kind, texts) for kind, texts in forms if any(text.strip() for text in texts)]
    if not says:
        return []
    return next((texts for kind, texts in says if kind == "text/plain"), says[-1][1])


def _attach(part: Message, kind: str, name: str, letter: Letter) -> None:
    data = part.get_payload(decode=True)
    if isinstance(data, bytes) and data.strip():
        number = len(letter.attached) + 1
        inline = part.get_content_disposition() != "attachment" and kind.startswith("image/")
        letter.attached.append(Attached(name or f"part {number}", data, kind, inline=inline))


def _text(part: Message, kind: str) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    text = decode_part(data, _parameter(part, "charset")).replace("\r\n", "\n").replace("\r", "\n")
    if kind == "text/html":
        return html_text(text)[1]
    if _parameter(part, "format").lower() == "flowed":
        text = _FLOWED.sub("" if _parameter(part, "delsp").lower() == "yes" else " ", text)
    return text


def _parts(part: Message) -> list[Message]:
    inner = part.get_payload()
    return [one for one in inner if isinstance(one, Message)] if isinstance(inner, list) else []


def _parameter(part: Message, name: str) -> str:
    value = part.get_param(name)
    return str(value[2] if isinstance(value, tuple) else value or "").strip()


def _name(part: Message) -> str:
    try:
        return _words(part.get_filename() or "")
    except (LookupError, ValueError, TypeError):  # a charset of RFC 2231 that is none
        return "unnamed"


def _header(message: Message, name: str) -> str:
    return _words(message.get(name) or "")


def _people(message: Message, name: str) -> list[str]:
    """`Anna Smith <anna@example.org>` for each, or what there is of it."""
    values = [value[:_LONGEST_WORDS] for value in message.get_all(name, ())]
    try:
        pairs = getaddresses([_unescaped(value) for value in values])
    except (RecursionError, ValueError, IndexError):
        return [_words(value) for value in values]
    named = [(_words(person).strip(" '\""), _words(address)) for person, address in pairs]
    people = [f"{p} <{a}>" if p and a and p != a else a or p for p, a in named if p or a]
    return people or [words for value in values if (words := _words(value))]


def _words(value: str) -> str:
    """A header's value as it is read: encoded words decoded, folded lines joined."""
    value = " ".join(_unescaped(value[:_LONGEST_WORDS]).split())
    if "=?" in value:
        try:
            pieces = [
                text if isinstance(text, str) else _decoded(text, charset)
                for text, charset in decode_header(value)
            ]
            value = "".join(pieces).strip() or value
        except (HeaderParseError, ValueError, LookupError):
            pass  # it stays as it was sent
    return " ".join(value.split())


def _decoded(data: bytes, charset: str | None) -> str:
    return decode_part(data, charset) if charset else data.decode("raw_unicode_escape", "replace")


def _unescaped(value: str) -> str:
    """Bytes that are no ASCII arrive as lone surrogates: they are UTF-8, or what old programs wrote."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return decode_part(value.encode("utf-8", "surrogateescape"))
    return value
