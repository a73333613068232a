"""Org files (Emacs) as readable text: outline headings, text and code; drawers, keywords and comments go."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from indexing.documents.formats.blocks import Blocks
from indexing.documents.model import Item
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]

_HEADING = re.compile(r"(\*+)[ \t]+(.*)$")
_STATE = re.compile(r"^(?:TODO|DONE|NEXT|WAITING|CANCELLED|CANCELED|HOLD|STARTED|PROJ)[ \t]+")
_PRIORITY = re.compile(r"\[#[A-Z0-9]\][ \t]*")
_TAGS = re.compile(r"[ \t]+:[\w@#%:]+:[ \t]*$")
_KEYWORD = re.compile(r"^[ \t]*#\+(\w+):[ \t]*(.*)$")
_BLOCK = re.compile(r"^[ \t]*#\+(begin|end)_(\w+)", re.IGNORECASE)
_DRAWER = re.compile(r"^[ \t]*:[\w-]+:[ \t]*$")
_PLANNED = re.compile(r"^[ \t]*(?:SCHEDULED|DEADLINE|CLOSED):[ \t]*[<\[]")
_LINK = re.compile(r"\[\[([^\[\]\n]{1,1000})\](?:\[([^\[\]\n]{1,1000})\])?\]")
_MARKED = re.compile(r"(?<![\w*/_=~+])([*/_=~+])(?=\S)([^\n]{0,500}?\S)\1(?![\w*/_=~+])")
_TABLE_RULE = re.compile(r"^[ \t]*\|[-+|:]+[ \t]*$")
_VERBATIM = frozenset(("src", "example", "export"))


def read(file: SourceFile) -> Iterator[Item]:
    page = _Page(read_text(file))
    yield page.blocks.item(file, page.keywords.get("title", ""), page.metadata())


class _Page:
    def __init__(self, source: str) -> None:
        self.blocks = Blocks()
        self.keywords: dict[str, str] = {}
        self._paragraph: list[str] = []
        self._begins = 1
        self._verbatim = ""  # the kind of block whose lines are kept as they are
        self._drawer = False
        for number, line in enumerate(source.split("\n"), start=1):
            self._read(line, number)
        self._end()

    def metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: self.keywords[name] for name in ("author", "date") if self.keywords.get(name)
        }
        if tags := self.keywords.get("filetags", "").replace(":", " ").split():
            found["tags"] = tags
        return found

    def _read(self, line: str, number: int) -> None:
        if block := _BLOCK.match(line):
            kind = block[2].lower()
            if block[1].lower() == "begin" and not self._verbatim and kind in _VERBATIM | {"comment"}:
                self._end()
                self._verbatim = kind
            elif block[1].lower() == "end" and kind == self._verbatim:
                self._end()
                self._verbatim = ""
        elif self._verbatim:
            if self._verbatim != "comment":
                self._add(line.rstrip(), number)
        elif self._drawer:
            self._drawer = line.strip().upper() != ":END:" and not _HEADING.match(line)
            if not self._drawer and _HEADING.match(line):
                self._heading(line, number)
        elif _HEADING.match(line):
            self._heading(line, number)
        elif not line.strip():
            self._end()
        else:
            self._line(line, number)

    def _heading(self, line: str, number: int) -> None:
        self._end()
        found = _HEADING.match(line)
        assert found is not None
        words = _TAGS.sub("", _PRIORITY.sub("", _STATE.sub("", found[2]), count=1))
        self.blocks.add_heading(_inline(words), len(found[1]), number)

    def _line(self, line: str, number: int) -> None:
        if keyword := _KEYWORD.match(line):
            name = keyword[1].lower()
            if name in ("caption", "title", "subtitle", "description") and name != "title":
                self._add(_inline(keyword[2].strip()), number)
            elif keyword[2].strip():
                self.keywords.setdefault(name, _inline(keyword[2].strip()))
        elif _DRAWER.match(line):
            self._drawer = line.strip().upper() != ":END:"
        elif not (_PLANNED.match(line) or _TABLE_RULE.match(line) or re.match(r"[ \t]*#(?:[ \t]|$)", line)):
            if line.lstrip().startswith("|"):
                line = "  ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
            self._add(_inline(re.sub(r"^([ \t]*): ", r"\1", line.rstrip())), number)

    def _add(self, text: str, number: int) -> None:
        if not self._paragraph:
            self._begins = number
        self._paragraph.append(text)

    def _end(self) -> None:
        self.blocks.add("\n".join(self._paragraph), self._begins)
        self._paragraph = []


def _inline(text: str) -> str:
    text = _LINK.sub(lambda found: found[2] or found[1].removeprefix("file:"), text)
    return _MARKED.sub(r"\2", text)
