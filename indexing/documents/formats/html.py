"""HTML: the title and the visible text, without scripts, styles, navigation and page furniture.

The page is parsed by lexbor, which builds the tree that browsers build, so that unclosed and misplaced
elements mean what they mean there. README.md has the comparison with other parsers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser, SelectolaxError

from indexing.documents.formats.html_repair import flatten, prepare, release_swallowed
from indexing.documents.formats.html_walk import PageWalk
from indexing.documents.formats.layout import without_invisible
from indexing.documents.marks import Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_decoded

__all__ = ["HtmlPage", "html_text", "read", "read_page"]

_DECLARED = re.compile(
    rb"""<(?:meta[^>]{0,200}?charset|\?xml[^>]{0,100}?encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)
_MOST_REPAIRS = 8


class HtmlPage(NamedTuple):
    title: str
    text: str
    marks: tuple[Mark, ...]


def read(file: SourceFile) -> Iterator[Item]:
    title, text, marks = read_page(read_decoded(file, _DECLARED))
    if text or title:
        yield Document(file.name, text or title, title if text else "", marks=marks)
    else:
        yield Skipped(file.source, None, "no text in it")


def html_text(page: str) -> tuple[str, str]:
    """(title, visible text) of a page or a fragment; the title falls back to the first `h1`."""
    title, text, _ = read_page(page)
    return title, text


def read_page(page: str) -> HtmlPage:
    """Title, visible text and marks of the headings in it.

    What a page says only in its furniture (in a `nav` that holds everything, or where scripts do not run) is
    given where it has no other text. Raises `MemoryError` if its tree needs more than there is.
    """
    if not page.strip():
        return HtmlPage("", "", ())
    page = flatten(prepare(page))
    tree = _parse(page)
    for _ in range(_MOST_REPAIRS):
        released = release_swallowed(tree, page)
        if released is None:
            break
        page, tree = released, _parse(released)
    walk = PageWalk(tree, page)
    walk.run()
    if walk.left_to_scripts >= len(walk.layout.text()):
        walk = PageWalk(tree, page, fallbacks=True)
        walk.run()
    text = walk.layout.text()
    if not text and (frames := tree.css_first("noframes")) is not None:
        return read_page(frames.text())._replace(title=walk.title)
    return HtmlPage(without_invisible(walk.title or walk.heading), text, tuple(walk.layout.marks))


def _parse(page: str) -> LexborHTMLParser:
    try:
        return LexborHTMLParser(page.encode("utf-8", "replace"))
    except SelectolaxError as error:
        raise MemoryError("the tree of the page") from error
