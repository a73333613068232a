"""RTF: one file is one document, its headings are marks.

Notes and comments stand after the paragraph that they belong to, headers and footers come once at the end.
Hidden and deleted text, pictures and field codes are left out. Time and memory are linear in the file,
whatever it nests. README.md here says why it is not read by a library.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from indexing.documents.formats.bounded import read_bounded
from indexing.documents.formats.flow import Flow, tidy
from indexing.documents.formats.rtf_tokens import (
    SYMBOLS,
    WORDS,
    Token,
    code_page,
    code_page_of_charset,
    tokens,
)
from indexing.documents.formats.titles import sensible_title
from indexing.documents.model import Document, Item
from indexing.documents.source import SourceFile, Unreadable

__all__ = ["read"]

_HEAD = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\\rtf")
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_SYMBOL_FONT = re.compile(rb"\s*(?:(symbol)|wingdings|webdings|.*dingbats)", re.IGNORECASE)
_MARGINS = frozenset(f"{kind}{where}" for kind in ("header", "footer") for where in ("", "l", "r", "f"))
# Groups whose text is not that of the page.
_LEFT_OUT = frozenset(
    (
        "colortbl listtable listoverridetable revtbl rsidtbl generator pict objdata objclass fldinst "
        "objname nonshppict datafield xe tc bkmkstart bkmkend sn sv filetbl themedata datastore "
        "latentstyles colorschememapping mmathPr pn atnid atnref atntime atndate atnparent atrfstart atrfend "
        "ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn upr subject keywords comment doccomm operator company "
        "manager category hlinkbase userprops xmlnstbl docvar template formfield panose falt htmltag mhtmltag"
    ).split()
)
# Groups that a reader may pass over by the rule of `\*` and this one does not.
_KNOWN = frozenset(("annotation", "atnauthor", "ud", "shpinst", "shptxt", "footnote"))
_OWN_TEXT = frozenset(("footnote", "annotation", "atnauthor", "title", "author")) | _MARGINS


def read(file: SourceFile) -> Iterator[Item]:
    with file.open() as stream:
        data = read_bounded(stream)
    file.bytes_read = file.size
    if not data.strip():
        raise Unreadable("no text in it")
    if not _HEAD.match(data):
        raise Unreadable("is not RTF: it does not begin with {\\rtf")
    reader = _Reader()
    for token in tokens(data):
        reader.take(token)
    text = reader.finish()
    if not text:
        raise Unreadable("no text in it")
    author = sensible_title(reader.author)
    metadata = {"author": author} if author else {}
    yield Document(file.name, text, sensible_title(reader.title), metadata, marks=reader.flow.marks())


class _State(NamedTuple):
    """What holds in a group; the groups within it begin with it."""

    skipped: bool = False  # not text of the page
    hidden: bool = False
    codec: str = ""  # of the font; "" for that of the document
    symbols: str = ""  # "greek" in the font Symbol, "none" in fonts of small pictures
    after_unicode: int = 1  # characters that stand in for one that is given by its number
    level: int = 0
    table: bool = False
    where: str = ""  # "fonttbl", "stylesheet", or what collects the text


class _Text:
    """What is collected: finished lines, and pieces of the one that is being written."""

    def __init__(self, kind: str = "", label: str = "") -> None:
        self.kind = kind
        self.label = label
        self.lines: list[str] = []
        self.parts: list[str] = []
        self.notes: list[str] = []
        self.listed = False

    def all(self) -> str:
        lines = [tidy(line) for line in [*self.lines, "".join(self.parts)]]
        return "\n".join(line for line in lines if line)


class _Reader:
    def __init__(self) -> None:
        self.flow = Flow()
        self.title = self.author = ""
        self._state = _State()
        self._states: list[_State] = []
        self._texts = [_Text()]
        self._depths: list[int] = []  # at which the collected texts end
        self._bytes = bytearray()
        self._stand_ins = 0
        self._starred = False
        self._high = 0  # first half of a surrogate pair
        self._default = "cp1252"
        self._default_font = 0
        self._fonts: dict[int, tuple[str, str]] = {}  # codec and symbols
        self._font = 0
        self._levels: dict[int, int] = {}
        self._style = 0
        self._row: list[str] = []
        self._noted = 0
        self._comment_by = ""
        self._margins: list[str] = []

    def take(self, token: Token) -> None:
        getattr(self, f"_{token.kind}")(token)

    def finish(self) -> str:
        while self._depths:
            self._close(Token("close"))
        self._flush()
        self._end_paragraph()
        self._end_row()
        for text in dict.fromkeys(self._margins):
            self.flow.add(text)
        return self.flow.text()

    # What the tokens are

    def _open(self, token: Token) -> None:
        self._flush()
        self._states.append(self._state)

    def _close(self, token: Token) -> None:
        self._flush()
        self._starred = False
        if self._depths and self._depths[-1] >= len(self._states):
            self._depths.pop()
            self._collected(self._texts.pop())
        if self._states:
            self._state = self._states.pop()

    def _byte(self, token: Token) -> None:
        if self._stand_ins:
            self._stand_ins -= 1
        elif token.number is not None:
            self._bytes.append(token.number)

    def _text(self, token: Token) -> None:
        raw = token.raw
        if self._stand_ins:
            passed = min(self._stand_ins, len(raw))
            self._stand_ins -= passed
            raw = raw[passed:]
        if not self._state.skipped:
            self._bytes += raw

    def _symbol(self, token: Token) -> None:
        symbol = token.text
        if symbol == "*":
            self._starred = True
        elif symbol in "\\{}":
            if self._stand_ins:
                self._stand_ins -= 1
            else:
                self._bytes += symbol.encode()
        elif symbol in "~_":
            self._flush()
            self._write(" " if symbol == "~" else "-")
        elif symbol in "\r\n":
            self._word(Token("word", "par"))

    def _word(self, token: Token) -> None:
        word, number = token.text, token.number
        if word == "u" and number is not None:
            self._unicode(number)
            return
        self._flush()
        self._stand_ins = 0
        starred, self._starred = self._starred, False
        if word in _LEFT_OUT or (starred and word not in _KNOWN):
            self._state = self._state._replace(skipped=True)
        elif word in _OWN_TEXT:
            self._collect(word)
        elif word in ("ud", "shptxt"):
            self._state = self._state._replace(skipped=False)
        elif word in ("fonttbl", "stylesheet", "info"):
            self._state = self._state._replace(where=word, skipped=word == "info")
        elif action := _ACTIONS.get(word):
            action(self, number)
        elif not self._state.skipped and (text := WORDS.get(word)) is not None:
            self._write(text)

    def _unicode(self, number: int) -> None:
        self._flush()
        self._stand_ins = self._state.after_unicode
        code = number + 0x10000 if number < 0 else number
        if 0xD800 <= code < 0xDC00:
            self._high = code
        elif 0xDC00 <= code < 0xE000 and self._high:
            self._write(chr(0x10000 + ((self._high - 0xD800) << 10) + code - 0xDC00))
            self._high = 0
        elif code <= 0x10FFFF and not 0xD800 <= code < 0xE000:
            private = 0xF000 <= code <= 0xF0FF  # of a symbol font
            self._write(SYMBOLS.get(code - 0xF000, "") if private else chr(code))

    # Where text goes

    def _flush(self) -> None:
        """Write the bytes since the last word, which are in one character set."""
        if not self._bytes:
            return
        state, data = self._state, bytes(self._bytes)
        self._bytes.clear()
        if state.where == "fonttbl":
            self._name_font(data)
        elif state.where == "stylesheet":
            self._name_style(data.decode(self._default, "replace"))
        elif state.symbols == "greek":
            self._write("".join(SYMBOLS.get(byte, chr(byte) if byte < 0x40 else "") for byte in data))
        elif not state.symbols:
            codec = state.codec or self._fonts.get(self._default_font, ("", ""))[0] or self._default
            self._write(data.decode(codec, "replace"))

    def _write(self, text: str) -> None:
        state = self._state
        if state.skipped or state.hidden or state.where in ("fonttbl", "stylesheet"):
            return
        current = self._texts[-1]
        if text != "\n\n":
            current.parts.append(text)
        elif current.kind:
            current.lines.append("".join(current.parts))
            current.parts = []
        else:
            self._break()

    def _break(self) -> None:
        if self._state.table:
            self._texts[0].parts.append(" ")
        else:
            self._end_row()
            self._end_paragraph()

    def _end_paragraph(self) -> None:
        body = self._texts[0]
        text = tidy("".join(body.parts))
        body.parts = []
        if self._state.level and text:
            self.flow.head(text, self._state.level)
        else:
            self.flow.add(text, close=body.listed)
        body.listed = False
        self._end_notes()

    def _end_cell(self, number: int | None) -> None:
        body = self._texts[0]
        if not self._state.skipped and len(self._texts) == 1:
            self._row.append(tidy("".join(body.parts)).replace("\n", " "))
            body.parts = []

    def _end_row(self, number: int | None = None) -> None:
        if self._row:
            self.flow.add(" ".join(cell for cell in self._row if cell), close=True)
            self._row = []
            self._end_notes()

    def _end_notes(self) -> None:
        body = self._texts[0]
        for note in body.notes:
            self.flow.add(note)
        body.notes = []

    def _collect(self, kind: str) -> None:
        """The group that has begun is a text of its own."""
        if self._state.skipped and kind not in ("title", "author"):
            return
        label = f"Comment by {self._comment_by}:" if self._comment_by else "Comment:"
        if kind == "footnote":
            self._noted += 1
            label = f"[{self._noted}]"
            self._write(f" {label}")
        self._texts.append(_Text(kind, label))
        self._depths.append(len(self._states))
        self._state = self._state._replace(skipped=False, hidden=False, where=kind, table=False, level=0)

    def _collected(self, text: _Text) -> None:
        words = text.all()
        if text.kind == "title":
            self.title = words
        elif text.kind == "author":
            self.author = words
        elif text.kind == "atnauthor":
            self._comment_by = words
        elif text.kind in _MARGINS:
            self._margins.append(words)
        elif words:
            self._texts[0].notes.append(f"{text.label} {words}")

    # Fonts, styles and what else words change

    def _name_font(self, name: bytes) -> None:
        codec, symbols = self._fonts.get(self._font, ("", ""))
        if found := _SYMBOL_FONT.match(name):
            symbols = "greek" if found[1] else "none"
        self._fonts[self._font] = (codec, symbols)

    def _name_style(self, name: str) -> None:
        heading = _HEADING.match(name.strip())
        if heading:
            self._levels.setdefault(self._style, int(heading[1]))

    def _set_font(self, number: int | None) -> None:
        self._font = number or 0
        if self._state.where != "fonttbl":
            codec, symbols = self._fonts.get(self._font, ("", ""))
            self._state = self._state._replace(codec=codec, symbols=symbols)

    def _set_default_font(self, number: int | None) -> None:
        self._default_font = number or 0

    def _set_charset(self, number: int | None) -> None:
        if self._state.where == "fonttbl":
            self._fonts[self._font] = (code_page_of_charset(number), self._fonts.get(self._font, ("", ""))[1])

    def _set_code_page(self, number: int | None) -> None:
        self._default = code_page(number)

    def _set_style(self, number: int | None) -> None:
        self._style = number or 0
        if self._state.where != "stylesheet":
            self._state = self._state._replace(level=self._levels.get(self._style, 0))

    def _set_level(self, number: int | None) -> None:
        level = (number or 0) + 1
        if self._state.where == "stylesheet":
            self._levels[self._style] = level
        elif level <= 9:
            self._state = self._state._replace(level=level)

    def _reset_paragraph(self, number: int | None) -> None:
        self._state = self._state._replace(level=0, table=False)

    def _reset_font(self, number: int | None) -> None:
        self._state = self._state._replace(hidden=False, codec="", symbols="")

    def _set_table(self, number: int | None) -> None:
        self._state = self._state._replace(table=True)

    def _hide(self, number: int | None) -> None:
        self._state = self._state._replace(hidden=number != 0)

    def _set_stand_ins(self, number: int | None) -> None:
        self._state = self._state._replace(after_unicode=min(max(number if number is not None else 1, 0), 16))

    def _list(self, number: int | None) -> None:
        self._texts[0].listed = True


_ACTIONS: dict[str, Callable[[_Reader, int | None], None]] = {
    "f": _Reader._set_font,
    "deff": _Reader._set_default_font,
    "fcharset": _Reader._set_charset,
    "ansicpg": _Reader._set_code_page,
    "mac": lambda reader, number: reader._set_code_page(10000),
    "pc": lambda reader, number: reader._set_code_page(437),
    "pca": lambda reader, number: reader._set_code_page(850),
    "s": _Reader._set_style,
    "outlinelevel": _Reader._set_level,
    "pard": _Reader._reset_paragraph,
    "plain": _Reader._reset_font,
    "intbl": _Reader._set_table,
    "cell": _Reader._end_cell,
    "row": _Reader._end_row,
    "nestrow": lambda reader, number: reader._write(" "),
    "v": _Reader._hide,
    "deleted": _Reader._hide,
    "uc": _Reader._set_stand_ins,
    "listtext": _Reader._list,
    "pntext": _Reader._list,
}
