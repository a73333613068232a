"""HTML: the title and the visible text, without scripts, styles, navigation and page furniture.

The page is parsed by lxml (libxml2) as a stream of events, never as a tree: memory is bounded by the text,
and a page that nests a hundred thousand elements costs linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from lxml import etree

from indexing.documents.formats.layout import TextLayout
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_decoded

__all__ = ["html_text", "read"]

_DECLARED = re.compile(
    rb"""<(?:meta[^>]{0,200}?charset|\?xml[^>]{0,100}?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


_NEVER_TEXT = _tags(
    "script style template noscript iframe object svg math canvas audio video select textarea"
)
_FURNITURE = _tags("nav footer button dialog menu")
_PARAGRAPHS = _tags(
    "p h1 h2 h3 h4 h5 h6 ul ol dl table blockquote pre article section main header hr figure details"
)
_LINES = _tags("div li dt dd tr br address aside caption figcaption summary fieldset legend body center")
_CELLS = _tags("td th")


def read(file: SourceFile) -> Iterator[Item]:
    title, text = html_text(read_decoded(file, _DECLARED))
    if text or title:
        yield Document(file.name, text or title, title if text else "")
    else:
        yield Skipped(file.source, None, "no text in it")


def html_text(page: str) -> tuple[str, str]:
    """(title, visible text) of a page or a fragment; the title falls back to the first `h1`.

    A page that is nothing but furniture (an unclosed `nav`, say) gives the furniture's text.
    """
    title, text = _parse(page, _NEVER_TEXT | _FURNITURE)
    return (title, text) if text else _parse(page, _NEVER_TEXT)


def _parse(page: str, left_out: frozenset[str]) -> tuple[str, str]:
    if not page.strip():
        return "", ""
    target = _VisibleText(left_out)
    # Everything is fed as UTF-8 whatever the page declares: it is decoded already.
    parser = etree.HTMLParser(
        target=target, encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True
    )
    data = page.encode("utf-8", "replace")
    for start in range(0, len(data), 2**20):
        parser.feed(data[start : start + 2**20])
    parser.close()
    return target.title(), target.layout.text()


class _VisibleText:
    """Receives the parser's events (the interface of an lxml parser target)."""

    def __init__(self, left_out: frozenset[str]) -> None:
        self.layout = TextLayout()
        self._left_out = left_out
        self._hidden = 0  # depth below an element that is left out
        self._preformatted = 0
        self._title: list[str] = []
        self._heading: list[str] = []
        self._titles_seen = 0
        self._headings_seen = 0
        self._inside = ""  # "title" or "h1" while inside the first of them

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._hidden or tag in self._left_out or _is_hidden(attributes):
            self._hidden += 1
            return
        if tag == "title":
            self._titles_seen += 1
            self._inside = "title"
        elif tag == "h1":
            self._headings_seen += 1
            self._inside = "h1"
        elif tag == "pre":
            self._preformatted += 1
        self._break(tag)

    def end(self, tag: str) -> None:
        if self._hidden:
            self._hidden -= 1
            return
        if tag == self._inside:
            self._inside = ""
        elif tag == "pre":
            self._preformatted -= 1
        self._break(tag)

    def data(self, text: str) -> None:
        if self._hidden:
            return
        if self._inside == "title":
            if self._titles_seen == 1:
                self._title.append(text)
            return
        if self._inside == "h1" and self._headings_seen == 1:
            self._heading.append(text)
        if self._preformatted:
            self.layout.add_verbatim(text)
        else:
            self.layout.add(text)

    def close(self) -> None:
        """Part of the target interface; the result is read from `layout`."""

    def title(self) -> str:
        return " ".join("".join(self._title).split()) or " ".join("".join(self._heading).split())

    def _break(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self.layout.paragraph()
        elif tag in _LINES:
            self.layout.line()
        elif tag in _CELLS:
            self.layout.add(" ")


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    if not attributes:
        return False
    return (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or attributes.get("role") == "navigation"
        or "display:none" in attributes.get("style", "").replace(" ", "").lower()
    )
