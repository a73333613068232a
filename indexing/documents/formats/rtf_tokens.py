"""RTF as tokens, and the character sets that its bytes may be in."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["SYMBOLS", "WORDS", "Token", "code_page", "code_page_of_charset", "tokens"]

_TOKEN = re.compile(
    rb"\\(?:([a-zA-Z]{1,32})(-?\d{1,10})? ?|'([0-9a-fA-F]{2})|([^a-zA-Z']))|([{}])|([^\\{}\r\n]+)|[\r\n]+|\\"
)
_CHARSETS = {
    **{77: 10000, 128: 932, 129: 949, 130: 1361, 134: 936, 136: 950, 161: 1253, 162: 1254},
    **{163: 1258, 177: 1255, 178: 1256, 186: 1257, 204: 1251, 222: 874, 238: 1250, 254: 437, 255: 850},
}
_NAMES = {10000: "mac_roman", 65001: "utf-8", 1361: "johab", 10007: "mac_cyrillic", 10029: "mac_latin2"}

WORDS = {
    **{"par": "\n\n", "sect": "\n\n", "page": "\n\n", "column": "\n\n", "line": "\n", "softline": "\n"},
    **{"tab": " ", "emspace": " ", "enspace": " ", "qmspace": " ", "nestcell": " "},
    **{"emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’"},
    **{"ldblquote": "“", "rdblquote": "”", "ltrmark": "", "rtlmark": "", "zwj": "\u200d", "zwnj": "\u200c"},
}
"""Control words that stand for text; two line breaks end a paragraph."""

# The letters of the font Symbol, which is in no character set, from A to Z and from a to z.
_GREEK = "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", "αβχδεφγηιϕκλμνοπθρστυϖωξψζ"
SYMBOLS = {
    **dict(zip(range(ord("A"), ord("Z") + 1), _GREEK[0], strict=True)),
    **dict(zip(range(ord("a"), ord("z") + 1), _GREEK[1], strict=True)),
    **{0xB7: "•", 0xA3: "≤", 0xB3: "≥", 0xB1: "±", 0xB4: "×", 0xB0: "°", 0xAE: "→", 0xB9: "≠", 0xA5: "∞"},
}
"""What bytes in the font Symbol show."""


class Token(NamedTuple):
    """`kind` is "word" (a control word: `text`, and `number` if it has one), "symbol" (a control symbol:
    `text`), "byte" (`number`), "open", "close" or "text" (`raw`)."""

    kind: str
    text: str = ""
    number: int | None = None
    raw: bytes = b""


_OPEN, _CLOSE = Token("open"), Token("close")


def tokens(data: bytes) -> Iterator[Token]:
    """The tokens of a file in order; binary data in it is passed over."""
    position = 0
    while match := _TOKEN.match(data, position):
        position = match.end()
        word, number, byte, symbol, brace, raw = match.groups()
        if raw is not None:
            yield Token("text", raw=raw)
        elif word is not None:
            value = None if number is None else int(number)
            if word == b"bin":
                position += max(value or 0, 0)
            else:
                yield Token("word", word.decode(), value)
        elif byte is not None:
            yield Token("byte", number=int(byte, 16))
        elif symbol is not None:
            yield Token("symbol", symbol.decode("latin-1"))
        elif brace is not None:
            yield _OPEN if brace == b"{" else _CLOSE


def code_page(number: int | None) -> str:
    """The codec of a code page; Windows-1252 if it is unknown."""
    name = _NAMES.get(number or 0, f"cp{number}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"


def code_page_of_charset(charset: int | None) -> str:
    """The codec of a font's character set; "" for that of the document, for symbols and for unknown ones."""
    return code_page(_CHARSETS[charset]) if charset in _CHARSETS else ""
