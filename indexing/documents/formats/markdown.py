"""Markdown (CommonMark with tables) as readable text; front matter becomes title and metadata.

Links keep their words and lose their address, images keep their description, code is kept as written, HTML
reads as it does on a page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from indexing.documents.fields import flat_metadata
from indexing.documents.formats.front_matter import FrontMatter, split_front_matter
from indexing.documents.formats.html import read_page
from indexing.documents.formats.layout import TextLayout
from indexing.documents.marks import Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_text

__all__ = ["MarkdownText", "markdown_text", "read", "read_markdown"]

# The parser drops what is deeper, and recurses a few frames per level. Its default, 20, is reached by
# long quoted threads.
_MAX_NESTING = 100
_TEMPLATE = re.compile(r"\{\{|\{%|<%")  # a place that a program fills in is no title
_TAG = re.compile(r"<(/?)([a-zA-Z][\w:-]*)")
_SILENT = frozenset(
    "script style template iframe object svg audio video canvas select noscript textarea".split()
)
_WORDS = frozenset(
    "a abbr b bdi bdo big cite code del dfn em font i ins kbd mark q s samp small span strike strong sub sup "
    "tt u var wbr".split()
)

_BREAKS = frozenset(
    "br hr p div li dt dd tr ul ol dl table blockquote pre h1 h2 h3 h4 h5 h6 section article header footer "
    "nav aside main details summary figure figcaption address center form fieldset caption".split()
)


class MarkdownText(NamedTuple):
    heading: str  # the first
    text: str
    marks: tuple[Mark, ...]


def read(file: SourceFile) -> Iterator[Item]:
    front = split_front_matter(read_text(file))
    if front.note:
        file.note(front.note)
    heading, text, marks = read_markdown(front.rest, front)
    title = front.fields.pop("title", None)
    title = str(title) if title not in (None, "") and not _TEMPLATE.search(str(title)) else heading
    metadata: dict[str, Any] = {}
    for refused in flat_metadata(front.fields, tuple(front.fields), metadata):
        file.note(f"front matter {refused}")
    if text or title:
        yield Document(file.name, text or title, title if text else "", metadata, marks=marks)
    else:
        yield Skipped(file.source, None, "no text in it")


def markdown_text(source: str) -> tuple[str, str]:
    """(first heading, readable text). What nests deeper than the parser follows is given as written."""
    heading, text, _ = read_markdown(source)
    return heading, text


def read_markdown(source: str, front: FrontMatter | None = None) -> MarkdownText:
    """First heading, readable text, and marks of headings and lines: a line for each block.

    `front` is what stood before `source` in its file. What nests deeper than the parser follows is given as
    written.
    """
    blocks = _Blocks(front.line if front else 1)
    if front and front.kept:
        blocks.layout.mark_line(2)
        blocks.layout.add_verbatim(front.kept)
        blocks.layout.paragraph()
    for token in _parser().parse(source):
        blocks.add(token)
    text = blocks.layout.text()
    if text or not source.strip():
        return MarkdownText(blocks.heading, text, tuple(blocks.layout.marks))
    line = blocks.first_line + source.count("\n", 0, len(source) - len(source.lstrip()))
    return MarkdownText("", source.strip(), (Mark(0, "line", line),))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable(["table", "strikethrough"])


class _Blocks:
    """Lays out the blocks of a text, one token after another."""

    def __init__(self, first_line: int) -> None:
        self.layout = TextLayout()
        self.heading = ""
        self.first_line = first_line
        self._lists: list[int | None] = []  # for each open list: its next number, None for bullets
        self._in_row = False

    def add(self, token: Token) -> None:
        layout, kind = self.layout, token.type
        if kind == "inline":
            if not self._in_row:
                self._mark(token)
            self._add_inline(token.children or ())
        elif kind == "heading_open":
            self._break(kind)
            layout.open_heading(int(token.tag[1]))
        elif kind == "heading_close":
            words = layout.close_heading()
            self.heading = self.heading or words
            self._break(kind)
        elif kind in ("fence", "code_block"):
            layout.paragraph()
            self._mark(token, 1 if kind == "fence" else 0)
            layout.add_verbatim(token.content.rstrip("\n"))
            layout.paragraph()
        elif kind == "html_block":
            self._add_html(token)
        elif kind in ("bullet_list_open", "ordered_list_open"):
            self._break(kind)
            self._lists.append(int(token.attrGet("start") or 1) if kind.startswith("ordered") else None)
        elif kind in ("bullet_list_close", "ordered_list_close"):
            self._lists.pop()
            self._break(kind)
        elif kind == "list_item_open":
            layout.line()
            self._mark(token)
            layout.add_verbatim("  " * (len(self._lists) - 1) + self._marker())
        elif kind in ("td_close", "th_close"):
            layout.add(" ")
        elif kind == "tr_open":
            layout.line()
            self._mark(token)
            self._in_row = True
        elif kind == "tr_close":
            layout.line()
            self._in_row = False
        elif kind not in ("td_open", "th_open"):
            self._break(kind)

    def _mark(self, token: Token, lines: int = 0) -> None:
        if token.map:
            self.layout.mark_line(self.first_line + token.map[0] + lines)

    def _break(self, kind: str) -> None:
        """Inside lists and tables a block is a line of its own, elsewhere a paragraph."""
        if self._lists or kind.startswith(("thead_", "tbody_")):
            # The paragraph that opens an item follows its marker on the same line.
            if kind != "paragraph_open":
                self.layout.line()
        else:
            self.layout.paragraph()

    def _marker(self) -> str:
        number = self._lists[-1]
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "

    def _add_html(self, token: Token) -> None:
        page = read_page(token.content)
        if not page.text:
            return
        self.layout.paragraph()
        self._mark(token)
        self.layout.add_page(page.text, page.marks)
        self.layout.paragraph()
        if not self.heading and page.marks:
            self.heading = str(page.marks[0].value)

    def _add_inline(self, children: Sequence[Token]) -> None:
        layout = self.layout
        closed: dict[str, int] | None = None  # where elements whose content is no text end, at last
        silent = ""  # such an element, while inside it
        for at, child in enumerate(children):
            kind = child.type
            if kind == "html_inline":
                found = _TAG.match(child.content)
                if found is None:
                    continue  # a comment or a declaration
                closing, name = found.group(1), found.group(2).lower()
                if silent:
                    silent = "" if closing and name == silent else silent
                    continue
                self._add_tag(name)
                if name in _SILENT and not closing and not child.content.endswith("/>"):
                    closed = _closed(children) if closed is None else closed
                    silent = name if closed.get(name, -1) > at else ""
            elif silent:
                continue
            elif kind in ("text", "code_inline", "image", "text_special"):
                layout.add(child.content)
            elif kind == "softbreak":
                layout.add(" ")
            elif kind == "hardbreak":
                self._end_line()

    def _add_tag(self, name: str) -> None:
        if name in _BREAKS:
            self._end_line()
        elif name not in _WORDS:
            self.layout.add(" ")

    def _end_line(self) -> None:
        """A row of a table stays on its line."""
        if self._in_row:
            self.layout.add(" ")
        else:
            self.layout.line()


def _closed(children: Sequence[Token]) -> dict[str, int]:
    """By name the last place where an element is closed whose content is no text."""
    tags = (
        (at, _TAG.match(child.content)) for at, child in enumerate(children) if child.type == "html_inline"
    )
    return {found.group(2).lower(): at for at, found in tags if found and found.group(1)}
