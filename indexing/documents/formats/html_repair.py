"""Mends what costs a page its text in a browser, or its parser more than linear time, before it is parsed.

XHTML is parsed as HTML, where `<script/>` swallows what follows; so does a `<title>` that is never closed.
"""

from __future__ import annotations

import html
import re
from itertools import accumulate

from selectolax.lexbor import LexborHTMLParser, LexborNode

__all__ = ["flatten", "is_unclosed", "prepare", "release_swallowed"]

_XHTML = re.compile(
    r'\s*<\?xml\b|<html\b[^>]{0,500}xmlns\s*=\s*["\']http://www\.w3\.org/1999/xhtml', re.IGNORECASE
)
_SELF_CLOSED = re.compile(r"<([a-zA-Z][\w.:-]*)((?:\s[^<>]*)?)/>")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)


def _tags(names: str) -> frozenset[str]:
    return frozenset(names.split())


_VOID = _tags(
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr"
)
# Their content is text to the parser until they are closed.
_RAW = _tags("script style title textarea iframe noembed noframes xmp")
_BODY = re.compile(r"</head|<body", re.IGNORECASE)

# A page with fewer tags is parsed at once. Past it a parser looks through all open elements at each tag, and
# opens again all fonts that were never closed; browsers stop nesting at 512 levels.
_MANY_TAGS = 10_000
_DEEPEST, _DEEPEST_INLINE = 512, 32
_CLOSED_BY_OTHERS = _tags(
    "html head body p li dt dd td th tr tbody thead tfoot option optgroup colgroup rt rp rb rtc plaintext"
)
_NEVER_NEST = _CLOSED_BY_OTHERS | _VOID | _RAW
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/<>]*)[^<>]*>")
_STEP = re.compile(r"</?[a-zA-Z][a-zA-Z]?")


class _Steps(dict[str, int]):
    """How much deeper a tag leads, by its first letters: where names share them, none of them nests."""

    def __missing__(self, start: str) -> int:
        letters = start.strip("</").lower()
        nests = not any(name[:2] == letters for name in _NEVER_NEST)
        step = self[start] = nests * (-1 if start[1] == "/" else 1)
        return step


_STEPS = _Steps()
_INLINE = _tags(
    "a abbr b bdi bdo big cite code em font i kbd label mark q s samp small span strike strong sub sup tt u"
)


def prepare(page: str) -> str:
    """XHTML in the way of HTML: `<p/>` as `<p></p>`, and CDATA as text."""
    if not _XHTML.search(page[:2000]):
        return page
    if "<![CDATA[" in page:
        page = _CDATA.sub(lambda found: html.escape(found.group(1)), page)
    return _SELF_CLOSED.sub(_open_and_close, page)


def _open_and_close(found: re.Match[str]) -> str:
    name, attributes = found.groups()
    return found.group() if name.lower() in _VOID else f"<{name}{attributes}></{name}>"


def flatten(page: str) -> str:
    """`page` without the tags that nest deeper than people do: blocks become line breaks."""
    if page.count("<") < _MANY_TAGS or _depth(page) <= _DEEPEST_INLINE:
        return page
    pieces: list[str] = []
    depths = {False: 0, True: 0}
    copied = 0
    for found in _TAG.finditer(page):
        closing, name = found.groups()
        name = name.lower()
        if name in _NEVER_NEST:
            continue
        inline = name in _INLINE
        too_deep = depths[inline] > (_DEEPEST_INLINE if inline else _DEEPEST)
        depths[inline] = max(depths[inline] + (-1 if closing else 1), 0)
        if too_deep:
            pieces.append(page[copied : found.start()])
            pieces.append("" if inline else "<br>")
            copied = found.end()
    return "".join(pieces) + page[copied:]


def _depth(page: str) -> int:
    """About how many elements are open at once, at most, if each is closed by its own tag."""
    return max(accumulate(map(_STEPS.__getitem__, _STEP.findall(page))), default=0)


def release_swallowed(tree: LexborHTMLParser, page: str) -> str | None:
    """`page` with its last element closed where that was never done and all that follows became its text."""
    name = _last_element(tree)
    if name not in _RAW:
        return None
    closed = [found.end() for found in re.finditer(f"</{name}", page, re.IGNORECASE)]
    opened = re.compile(rf"<{name}\b[^<>]*>", re.IGNORECASE).search(page, closed[-1] if closed else 0)
    if opened is None:
        return None
    at = opened.end()
    if name == "title":
        at = page.find("<", at)
    elif name in ("script", "style") and not opened.group().endswith("/>"):
        body = _BODY.search(page, at)
        at = body.start() if body else -1
    return None if at < 0 else f"{page[:at]}</{name}>{page[at:]}"


def _last_element(tree: LexborHTMLParser) -> str:
    node: LexborNode | None = tree.body
    if node is None or node.last_child is None:
        node = tree.head
    name = ""
    while node is not None:
        tag = node.tag or ""
        if not tag.startswith("-"):
            name = tag
        node = node.last_child
    return name


def is_unclosed(page: str, name: str) -> bool:
    """Whether `page` opens `name` more often than it closes it."""
    opened = len(re.findall(rf"<{name}\b", page, re.IGNORECASE))
    return opened > len(re.findall(rf"</{name}\b", page, re.IGNORECASE))
