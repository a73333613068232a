"""YAML, TOML and INI as they are written: a person searches for the words, and comments explain them.

They are read line by line and never parsed, so nothing in them is built, referred to or expanded. Keys of the
first level and tables are headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from indexing.documents.marks import MOST_MARKS, Mark
from indexing.documents.model import Document, Item, Skipped
from indexing.documents.source import SourceFile, read_text

__all__ = ["read"]

_TABLE = re.compile(r"^[ \t]*\[\[?[ \t]*([^\]\n]{1,200})[ \t]*\]?\][ \t]*(?:[#;][^\n]*)?$", re.MULTILINE)
_KEY = re.compile(
    r"""^(?:"([^"\n]{1,200})"|([\w./$@-][\w ./$@-]{0,199})):(?=[ \t]*(?:[#|>&!][^\n]*)?$)""", re.MULTILINE
)
_TITLE = re.compile(
    r"""^[ \t]*(?:title|name)[ \t]*[:=][ \t]*(?:"([^"\n]+)"|'([^'\n]+)'|([^"'\s#{[|>&*!][^#\n]*))""",
    re.MULTILINE | re.IGNORECASE,
)
_TITLE_WITHIN = 2_000


def read(file: SourceFile) -> Iterator[Item]:
    text = read_text(file)
    if not text.strip():
        yield Skipped(file.source, None, "no text in it")
        return
    pattern = _KEY if ".y" in file.path.lower()[-9:] else _TABLE
    headings = (
        Mark(found.start(), "heading", next(filter(None, found.groups())).strip(), 1)
        for found in pattern.finditer(text)
    )
    marks = [Mark(0, "line", 1), *(mark for _, mark in zip(range(MOST_MARKS - 1), headings, strict=False))]
    titled = _TITLE.search(text[:_TITLE_WITHIN])
    title = next(filter(None, titled.groups()), "").strip() if titled else ""
    yield Document(file.name, text, title, marks=tuple(marks))
