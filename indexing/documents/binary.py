"""Whether bytes are text at all, and text that says by its bytes alone how it is encoded."""

from __future__ import annotations

import re

__all__ = ["looks_binary", "looks_like_jis", "unmarked_utf16"]

_CONTROL = bytes(range(0x00, 0x20)).translate(None, b"\t\n\r\x0b\x0c\x08\x1b")
# These begin no text. The others are letters that prose may begin with, so what follows counts as well.
_MAGIC = (*(b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b", b"\xfd7zXZ", b"(\xb5/\xfd"),)
_MAGIC_WORDS = re.compile(rb"GIF8[79]a|BZh[1-9]|PAR1")
_PDF = re.compile(rb"%PDF-\d\.\d[^\r\n]{0,4}[\r\n]")
_PDF_OBJECT = re.compile(rb"\d obj\b")
# Bytes that UTF-16 of nearly any script has (in U+0020, U+000A, U+3001, U+FF0C ...) and other text has not.
_WIDE_SIGNS = b"\x00\x01\x02\x0c\x1a"
_WIDE_ANCHOR = re.compile("[ \n\u3000-\u3002\uff01\uff0c\uff1a\uff1f]")
_WIDE_TEXT = re.compile(
    "[\t\n\r -~\xa0-\u024f\u0370-\u06ff\u0900-\u0e7f\u2010-\u203a\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3"
    "\uff01-\uff9f]+"
)
_JIS = re.compile(rb"\x1b\$[@B][!-~\x1b]+\x1b\([BJ]")


def looks_binary(head: bytes) -> bool:
    """Whether the first bytes of a file are no text in an encoding of one or more bytes a character.

    A stray control character, NUL too, happens in real text; one byte in fifty of them does not.
    """
    controls = len(head) - len(head.translate(None, _CONTROL))
    if head.startswith(_MAGIC) or controls > 1 + len(head) // 50:
        return True
    if _PDF.match(head):
        return bool(_PDF_OBJECT.search(head))
    return bool(controls and _MAGIC_WORDS.match(head))


def unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 without a byte order mark, by how its text reads: nearly all letters of living scripts in one
    byte order, with a blank or a full stop among them, and not in the other.
    """
    if len(head.translate(None, _WIDE_SIGNS)) == len(head):
        return None
    found = [codec for codec in ("utf-16-le", "utf-16-be") if _reads_as(head[: len(head) // 2 * 2], codec)]
    return found[0] if len(found) == 1 else None


def _reads_as(head: bytes, codec: str) -> bool:
    text = head.decode(codec, "replace")
    letters = sum(map(len, _WIDE_TEXT.findall(text)))
    return letters > 0.95 * len(text) and _WIDE_ANCHOR.search(text) is not None


def looks_like_jis(data: bytes) -> bool:
    """Whether text that is all ASCII switches to Japanese by escapes, as ISO-2022-JP does."""
    # One byte is looked for many times as fast as two.
    return b"\x1b" in data and _JIS.search(data) is not None and data.isascii()
