"""XML: its text, a line for each element that is a piece of its own, with its name before short ones.

Read as events, never as a tree, by libxml2: no entity is expanded, no file or address opened.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.entities import name2codepoint

from lxml import etree

from indexing.documents.formats.html import html_text
from indexing.documents.marks import MOST_MARKS, Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_decoded

__all__ = ["read"]

_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")
_NAMED = 80  # an element with so little text is a field: its name is part of what it says
# What may stand before the root.
_DOCTYPE = re.compile(r"\s*(<!DOCTYPE\b)", re.IGNORECASE)
_BEFORE = re.compile(r"\s*(?:<!--.*?-->|<\?.*?\?>)", re.DOTALL)
_ENTITY = re.compile(r"&([A-Za-z]{2,10});")
_KNOWN = {name: chr(code) for name, code in name2codepoint.items() if name not in ("amp", "lt", "gt", "quot")}
_ESCAPED_HTML = re.compile(r"</[a-z]{1,10}[0-9]?>|<(?:br|p|img|hr)\b[^<>]*>")  # feeds carry pages as text
# Elements of prose, whose names say nothing to a reader.
_PROSE = frozenset(
    "p para simpara paragraph title subtitle head heading h1 h2 h3 h4 b i em strong emphasis code literal "
    "span a link ulink xref li item listitem entry cell td th line l s sub sup q quote text content body "
    "term seg t v string description summary encoded".split()
)
_CELLS = frozenset(("td", "th", "entry", "cell"))
_TITLES = frozenset(("title", "name", "head", "heading"))
_SECTIONS = frozenset(
    "article book chapter sect1 sect2 sect3 sect4 section refsect1 refsect2 refentry part appendix".split()
)
# Attributes that hold words for people.
_WORDS = frozenset(
    ("title", "label", "caption", "alt", "summary", "description", "name", "tooltip", "value", "text")
)


def read(file: SourceFile) -> Iterator[Item]:
    page = read_decoded(file, _DECLARED)
    target = _Text()
    parser = etree.XMLParser(
        target=target, encoding="utf-8", resolve_entities=False, no_network=True, load_dtd=False, recover=True
    )
    data = _without_entities(_DECLARATION.sub("", page, count=1)).encode("utf-8", "replace")
    try:
        for start in range(0, len(data), 2**20):
            parser.feed(data[start : start + 2**20])
        parser.close()
    except etree.XMLSyntaxError as error:
        target.broken = target.broken or str(error).partition(",")[0]
    text = target.text()
    if not text and not target.title:
        yield Skipped(file.source, None, "no text in it")
        return
    if target.broken:
        file.note(f"is not well-formed XML ({target.broken}): what could be read was")
    yield Document(file.name, text or target.title, target.title if text else "", marks=tuple(target.marks))


def _without_entities(page: str) -> str:
    """The page without what declares entities, as this kind of parser expands them; known ones are put in."""
    at = len(page) - len(page.lstrip("\ufeff \t\r\n"))
    while True:
        if before := _BEFORE.match(page, at):
            at = before.end()
            continue
        found = _DOCTYPE.match(page, at)
        if found is None:
            break
        inner, end = page.find("[", found.end()), page.find(">", found.end())
        if 0 <= inner < end:
            end = page.find(">", max(page.find("]", inner), inner))
        at = end + 1 if end >= 0 else len(page)
    page = page[at:].lstrip().replace("<!ENTITY", "<!-- ENTITY")
    return _ENTITY.sub(lambda found: _KNOWN.get(found[1], found[0]), page) if "&" in page else page


class _Element:
    """One that is open: whether text stands beside its children, and whether it has any."""

    __slots__ = ("children", "mixed", "tag")

    def __init__(self, tag: str) -> None:
        self.tag, self.mixed, self.children = tag, False, False


class _Text:
    """Receives the parser's events (the interface of an lxml parser target)."""

    def __init__(self) -> None:
        self.title = ""
        self.broken = ""
        self.marks: list[Mark] = []
        self._lines: list[str] = []
        self._length = 0
        self._line: list[str] = []
        self._open: list[_Element] = [_Element("")]
        self._field = ""  # the name of the element that is all of the line so far
        self._ended = False  # an element ended: what follows is beside it, or begins a line
        self._sections = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        parent = self._open[-1]
        parent.children = True
        tag = str(tag).rpartition("}")[2]
        if tag in _CELLS and not parent.mixed:
            self._field = ""
            self._line.append("  ")
        elif not parent.mixed:
            self._flush()
        self._open.append(_Element(tag))
        self._sections += tag in _SECTIONS
        for name, value in attributes.items():
            if str(name) in _WORDS and sum(map(str.isalpha, value[:200])) > 2:
                self._line.append(f"{tag} {name}: {' '.join(value.split())}")
                self._flush()

    def data(self, text: str) -> None:
        element = self._open[-1]
        if not text.strip():
            if self._line:
                self._line.append(" ")
            return
        if self._ended and not element.mixed and element.children:
            self._field = ""  # text beside an element: it was no field but a word of a sentence
        element.mixed = True
        self._ended = False
        self._line.append(text)

    def end(self, tag: str) -> None:
        element = self._open.pop() if len(self._open) > 1 else self._open[0]
        self._sections -= element.tag in _SECTIONS
        if element.tag in _TITLES and not self._open[-1].mixed:
            self._end_title()
        elif not element.children and not self._open[-1].mixed and element.tag not in _PROSE:
            self._field = element.tag
        if element.children and not self._open[-1].mixed:
            self._flush()
        self._ended = True

    def close(self) -> None:
        """Part of the target interface; the result is read from `text`."""

    def text(self) -> str:
        self._flush()
        return "\n".join(self._lines).strip("\n")

    def _end_title(self) -> None:
        words = " ".join("".join(self._line).split())
        if words and len(words) <= 300 and len(self._open) <= 4:
            self.title = self.title or words
        if words and self._sections and self._open[-1].tag in _SECTIONS and len(self.marks) < MOST_MARKS:
            self._add("")
            self.marks.append(Mark(self._length, "heading", words[:200], self._sections))
        self._flush()

    def _flush(self) -> None:
        text = " ".join("".join(self._line).split())
        field, self._field, self._line = self._field, "", []
        if not text or (len(text) > 500 and " " not in text[:500]):  # nothing, or a picture as text
            return
        if _ESCAPED_HTML.search(text):
            text = html_text(text)[1] or text
        self._add(f"{field}: {text}" if field and len(text) <= _NAMED else text)

    def _add(self, line: str) -> None:
        if line or self._lines:
            self._lines.append(line)
            self._length += len(line) + 1
