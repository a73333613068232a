"""Walks the tree of an HTML page and lays out the text that a reader of the page sees."""

from __future__ import annotations

import re
from enum import Enum, auto

from selectolax.lexbor import LexborHTMLParser, LexborNode

from indexing.documents.formats.html_repair import is_unclosed
from indexing.documents.formats.layout import TextLayout

__all__ = ["PageWalk"]


class _Kind(Enum):
    SKIP = auto()  # never text
    FALLBACK = auto()  # shown only where something else does not work
    FURNITURE = auto()
    PARAGRAPH = auto()
    LINE = auto()
    APART = auto()  # stands in a line, but is no part of the words beside it
    HEADING = auto()
    VERBATIM = auto()
    PICTURE = auto()
    TITLE = auto()
    READING = auto()
    RUBY = auto()


_NAMES = {
    _Kind.SKIP: "script style head frame embed rp annotation annotation-xml -comment -doctype",
    _Kind.FALLBACK: ("object canvas audio video iframe noembed noframes template select datalist noscript"),
    _Kind.FURNITURE: "nav footer button dialog",
    _Kind.PARAGRAPH: (
        "p ul ol dl menu dir table blockquote article section main header hr figure details form"
    ),
    _Kind.LINE: (
        "div li dt dd tr br address aside caption figcaption summary legend center fieldset hgroup search "
        "text foreignobject marquee optgroup option"
    ),
    _Kind.APART: "td th img input label output meter progress math",
    _Kind.HEADING: "h1 h2 h3 h4 h5 h6",
    _Kind.VERBATIM: "pre textarea listing xmp plaintext",
    _Kind.PICTURE: "svg",
    _Kind.TITLE: "title",
    _Kind.READING: "rt",
    _Kind.RUBY: "ruby",
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
_INLINE = (
    "a abbr acronym b bdi bdo big body cite code col colgroup data del dfn em font g html i ins kbd mark mi "
    "mn mo mrow q rb s samp small source span strike strong sub sup tbody tfoot thead time tspan tt u var wbr"
)
# What needs no look at the element: most of a page.
_PLAIN: dict[str, _Kind | None] = {
    **dict.fromkeys(_INLINE.split()),
    **{
        name: kind
        for name, kind in _KINDS.items()
        if kind not in (_Kind.FALLBACK, _Kind.FURNITURE, _Kind.TITLE, _Kind.READING)
    },
}
_DRAWN_ELSEWHERE = frozenset(("title", "desc", "metadata", "defs", "symbol"))  # in a picture
_HOLDS_BUTTONS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "summary", "dt", "legend"))
_HOLDS_FOOTERS = frozenset(("article", "section", "main", "blockquote", "figure"))
# Characters of a button: "Copy to clipboard" is furniture, a question that unfolds its answer is not.
_LONG_BUTTON = 24
_PERMALINKS = frozenset("¶#§🔗⚓")
_STYLED = '[hidden],[aria-hidden],[role="navigation" i],[style*="display" i],[style*="visibility" i]'
_INVISIBLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.IGNORECASE)
_BLOCK = re.compile(r"display\s*:\s*(?:block|flex|grid|table|list-item)", re.IGNORECASE)


class PageWalk:
    """`layout` has the text after `run`; `fallbacks` keeps what pages show without scripts, and furniture."""

    def __init__(self, tree: LexborHTMLParser, page: str, *, fallbacks: bool = False) -> None:
        self.layout = TextLayout()
        self.title = ""
        self.heading = ""  # the first of the highest level
        self.left_to_scripts = 0  # characters of what is shown where scripts do not run
        self._tree = tree
        self._page = page
        self._fallbacks = fallbacks
        self._unclosed: dict[str, bool] = {}
        self._styles = self._read_styles()
        self._open: list[tuple[LexborNode, str, _Kind | None]] = []
        self._verbatim = 0
        self._pictures = 0
        self._readings: list[str] = []

    def run(self) -> None:
        title = self._tree.css_first("head > title")
        self.title = "" if title is None else " ".join(title.text().split())
        node: LexborNode | None = self._tree.root
        layout, opened, thought = self.layout, self._open, bool(self._styles)
        while node is not None:
            tag = node.tag or "-comment"
            if tag == "-text":
                if self._verbatim:
                    layout.add_verbatim(node.text_content or "")
                else:
                    layout.add(node.text_content or "")
            else:
                kind = self._kind_of(node, tag) if thought or tag not in _PLAIN else _PLAIN[tag]
                if kind is not _Kind.SKIP:
                    if kind is not None:
                        self._enter(tag, kind)
                    below = node.first_child
                    if below is not None:
                        opened.append((node, tag, kind))
                        node = below
                        continue
                    if kind is not None:
                        self._leave(tag, kind)
            following = node.next
            while following is None and opened:
                node, tag, kind = opened.pop()
                if kind is not None:
                    self._leave(tag, kind)
                following = node.next
            node = following

    def _kind_of(self, node: LexborNode, tag: str) -> _Kind | None:
        """What to do with an element: one kind of few; None for what is plain inline text."""
        kind = _KINDS.get(tag)
        if self._styles:
            style = self._styles.get(node.mem_id)
            if style is _Kind.SKIP:
                return style
            kind = kind or style
        if self._pictures and tag in _DRAWN_ELSEWHERE:
            return _Kind.SKIP
        if kind is None:
            return _Kind.APART if "-" in tag else None
        if kind is _Kind.FALLBACK:
            return self._kind_of_fallback(node, tag)
        if kind is _Kind.FURNITURE:
            return self._kind_of_furniture(node, tag)
        if kind is _Kind.TITLE:
            self.title = self.title or " ".join(node.text().split())
            return _Kind.SKIP
        if kind is _Kind.READING:
            self._readings.append("".join(node.text().split()))
            return _Kind.SKIP
        return kind

    def _kind_of_fallback(self, node: LexborNode, tag: str) -> _Kind:
        if self._is_unclosed(tag):
            return _Kind.APART
        if tag == "noscript":
            if self._fallbacks:
                return _Kind.LINE
            self.left_to_scripts += len(" ".join(node.text().split()))
        return _Kind.SKIP

    def _kind_of_furniture(self, node: LexborNode, tag: str) -> _Kind:
        kept = self._fallbacks or self._is_unclosed(tag)
        if tag == "button":
            return _Kind.APART if kept or self._is_question(node) else _Kind.SKIP
        if tag == "dialog":
            kept = kept or "open" in node.attributes
        elif tag == "footer":
            kept = kept or any(name in _HOLDS_FOOTERS for _, name, _ in self._open)
        return _Kind.PARAGRAPH if kept or node.css_first("main,article") else _Kind.SKIP

    def _is_question(self, button: LexborNode) -> bool:
        if any(name in _HOLDS_BUTTONS for _, name, _ in self._open):
            return True
        return len(" ".join(button.text().split())) > _LONG_BUTTON

    def _is_unclosed(self, tag: str) -> bool:
        if tag not in self._unclosed:
            self._unclosed[tag] = is_unclosed(self._page, tag)
        return self._unclosed[tag]

    def _enter(self, tag: str, kind: _Kind) -> None:
        layout = self.layout
        if kind is _Kind.LINE:
            layout.line()
        elif kind is _Kind.PARAGRAPH:
            layout.paragraph()
        elif kind is _Kind.APART:
            layout.add(" ")
        elif kind is _Kind.HEADING:
            layout.paragraph()
            layout.open_heading(int(tag[1]))
        elif kind is _Kind.VERBATIM:
            layout.paragraph()
            self._verbatim += 1
        elif kind is _Kind.PICTURE:
            layout.add(" ")
            self._pictures += 1

    def _leave(self, tag: str, kind: _Kind) -> None:
        layout = self.layout
        if kind is _Kind.LINE:
            layout.line()
        elif kind is _Kind.PARAGRAPH:
            layout.paragraph()
        elif kind is _Kind.APART:
            layout.add(" ")
        elif kind is _Kind.HEADING:
            words = layout.close_heading()
            if tag == "h1":
                self.heading = self.heading or words
            layout.paragraph()
        elif kind is _Kind.VERBATIM:
            layout.paragraph()
            self._verbatim -= 1
        elif kind is _Kind.PICTURE:
            layout.add(" ")
            self._pictures -= 1
        elif kind is _Kind.RUBY and self._readings:
            # After the word, not between its characters, so that it is found as it is written.
            layout.add(f"({''.join(self._readings)})")
            self._readings.clear()

    def _read_styles(self) -> dict[int, _Kind]:
        """Elements that their attributes hide, or make a block or furniture of; never the page itself."""
        styles: dict[int, _Kind] = {}
        for node in self._tree.css(_STYLED):
            if node.tag in ("html", "body"):
                continue
            attributes = node.attributes
            style = attributes.get("style") or ""
            hidden = "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found"
            if hidden or _INVISIBLE.search(style):
                styles[node.mem_id] = _Kind.SKIP
            elif (attributes.get("aria-hidden") or "").lower() == "true":
                # Decoration, or all of the page behind a dialog that was open when it was saved.
                if node.css_first("main,article,p,h1,h2,h3,table,ul,ol") is None:
                    styles[node.mem_id] = _Kind.SKIP
            elif (attributes.get("role") or "").lower() == "navigation" and not self._fallbacks:
                if node.css_first("main,article") is None:
                    styles[node.mem_id] = _Kind.SKIP
            elif _BLOCK.search(style):
                styles[node.mem_id] = _Kind.LINE
        return styles
