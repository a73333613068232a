"""Results as cards: which parts are shown, and in which words. `app.ui.markup` makes HTML of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from app.facade.search import MOST_FACETS, Facet
from app.facade.showing import heading, snippet_below, whence
from app.settings import host_from_environment, is_loopback
from app.ui.outside import as_html
from app.wording import explain_score
from indexing import Result

__all__ = ["Card", "highlighted_html", "make_card"]

_CHIP_LENGTH = 40
_SHOWN_TEXT = 20_000  # characters; a document may hold megabytes, and ten of them are on a page
_INDENTED = re.compile(r"^(?: {2,}|\t|>>>)\S", re.MULTILINE)


@dataclass(frozen=True)
class Card:
    """One result, ready to be shown. Fields that end in `_html` are escaped already, the others are not."""

    rank: int
    id: str
    title: str
    snippet_html: str
    crumbs: tuple[str, ...]  # where it is from; empty where that is no file
    path: str  # of the file; empty where nobody can use it
    chips: tuple[tuple[str, str], ...]
    score: str
    parts: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]
    text: str  # empty where the snippet is all there is
    more_characters: int  # of the text, beyond what is shown
    preformatted: bool  # line breaks and indentation carry meaning, as in code and tables


def make_card(rank: int, result: Result, facets: Sequence[Facet] = (), *, here: bool = True) -> Card:
    """`result` as a card. Its chips are the fields one can filter by, else the first short ones. `here` says
    whether its file is on this machine.
    """
    metadata = tuple((name, _readable(value)) for name, value in result.metadata.items())
    metadata = tuple((name, value) for name, value in metadata if value)
    found = whence(result)
    snippet = snippet_below(result.title, result.snippet)
    choices = [facet.name for facet in facets]
    short = [(name, value) for name, value in metadata if len(value) <= _CHIP_LENGTH]
    chips = [chip for chip in short if chip[0] in choices] if choices else short[:MOST_FACETS]
    return Card(
        rank=rank,
        id=result.id,
        title=heading(result),
        snippet_html=highlighted_html(snippet.text, snippet.highlights),
        crumbs=found.crumbs if found else (),
        path=found.path if found and here and is_loopback(host_from_environment()) else "",
        chips=tuple(chips),
        score=_number(result.score),
        parts=tuple(explain_score(result.parts)),
        metadata=metadata,
        text=result.text[:_SHOWN_TEXT] if result.text.strip() != result.snippet.text.strip() else "",
        more_characters=max(0, len(result.text) - _SHOWN_TEXT),
        preformatted=_INDENTED.search(result.text, 0, _SHOWN_TEXT) is not None,
    )


def highlighted_html(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` escaped, with `<mark>` around the character `spans`; spans may overlap and come in any order."""
    pieces, done = [], 0
    for start, end in sorted(spans):
        start, end = max(start, done), min(end, len(text))
        if start < end:
            pieces += [
                as_html(text[done:start], prose=True),
                "<mark>",
                as_html(text[start:end], prose=True),
                "</mark>",
            ]
            done = end
    return "".join([*pieces, as_html(text[done:], prose=True)])


def _readable(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_readable(one) for one in value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "–" if value is None else str(value)
