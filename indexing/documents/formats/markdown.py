"""Markdown (CommonMark with tables) as readable text; front matter becomes title and metadata.

Links keep their words and lose their address, images keep their description, code is kept as written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from indexing.documents.fields import flat_metadata
from indexing.documents.formats.html import html_text
from indexing.documents.formats.layout import TextLayout
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]

_FRONT_MATTER_LIMIT = 64 * 1024
# The parser drops what is deeper, and recurses a few frames per level. Its default, 20, is reached by
# long quoted threads.
_MAX_NESTING = 100


def read(file: SourceFile) -> Iterator[Item]:
    front, body = _split_front_matter(file, read_text(file))
    heading, text = markdown_text(body)
    title = front.pop("title", None)
    title = str(title) if title not in (None, "") else heading
    metadata: dict[str, Any] = {}
    for refused in flat_metadata(front, tuple(front), metadata):
        file.note(f"front matter {refused}")
    if text or title:
        yield Document(file.name, text or title, title if text else "", metadata)
    else:
        yield Skipped(file.source, None, "no text in it")


def markdown_text(source: str) -> tuple[str, str]:
    """(first heading, readable text). What nests deeper than the parser follows is given as written."""
    layout = TextLayout()
    heading = ""
    tokens = (
        MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING})
        .enable(["table", "strikethrough"])
        .parse(source)
    )
    lists: list[int | None] = []  # for each open list: its next number, None for bullets
    for position, token in enumerate(tokens):
        if token.type == "inline":
            if not heading and tokens[position - 1].type == "heading_open":
                heading = _inline_text(token)
            _add_inline(layout, token)
        else:
            _add_block(layout, token, lists)
    return heading, layout.text() or source.strip()


def _add_block(layout: TextLayout, token: Token, lists: list[int | None]) -> None:
    kind = token.type
    if kind in ("fence", "code_block"):
        layout.paragraph()
        layout.add_verbatim(token.content.rstrip("\n"))
        layout.paragraph()
    elif kind == "html_block":
        layout.paragraph()
        layout.add_verbatim(html_text(token.content)[1])
        layout.paragraph()
    elif kind in ("bullet_list_open", "ordered_list_open"):
        _break(layout, token, lists)
        lists.append(int(token.attrGet("start") or 1) if kind.startswith("ordered") else None)
    elif kind in ("bullet_list_close", "ordered_list_close"):
        lists.pop()
        _break(layout, token, lists)
    elif kind == "list_item_open":
        layout.line()
        layout.add_verbatim("  " * (len(lists) - 1) + _marker(lists))
    elif kind in ("td_close", "th_close"):
        layout.add(" ")
    elif kind not in ("td_open", "th_open"):
        _break(layout, token, lists)


def _break(layout: TextLayout, token: Token, lists: list[int | None]) -> None:
    """Inside lists and tables a block is a line of its own, elsewhere a paragraph."""
    if token.type.startswith(("tr_", "thead_", "tbody_")) or lists:
        # The paragraph that opens an item follows its marker on the same line.
        if not token.type.endswith("paragraph_open"):
            layout.line()
    else:
        layout.paragraph()


def _marker(lists: list[int | None]) -> str:
    number = lists[-1]
    if number is None:
        return "- "
    lists[-1] = number + 1
    return f"{number}. "


def _add_inline(layout: TextLayout, token: Token) -> None:
    for child in token.children or ():
        if child.type in ("text", "code_inline", "image", "text_special"):
            layout.add(child.content)
        elif child.type == "softbreak":
            layout.add(" ")
        elif child.type == "hardbreak":
            layout.line()


def _inline_text(token: Token) -> str:
    layout = TextLayout()
    _add_inline(layout, token)
    return layout.text()


def _split_front_matter(file: SourceFile, text: str) -> tuple[dict[str, Any], str]:
    """(front matter, the rest). What looks like front matter and is not valid YAML stays in the text."""
    if not text.startswith("---\n"):
        return {}, text
    end = text.find("\n---\n", 3, _FRONT_MATTER_LIMIT)
    if end < 0:
        return {}, text
    try:
        front = yaml.safe_load(text[4 : end + 1])
    except (yaml.YAMLError, RecursionError, ValueError):
        file.note("the front matter is not valid YAML: it was read as text")
        return {}, text
    if not isinstance(front, dict):
        return {}, text
    dated = {str(k): v.isoformat() if hasattr(v, "isoformat") else v for k, v in front.items()}
    return dated, text[end + 5 :]
