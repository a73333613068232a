"""What the search page says and does, without a word about how it is drawn.

A `SearchRequest` is one state of the page; the address bar holds it, so a copied address shows the same page.
`search`, `facet_choices` and `make_card` turn a collection's answers into what a card shows. Everything that
becomes HTML passes through `html.escape` here.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app.wording import explained

if TYPE_CHECKING:
    from indexing import Collection, Result, SearchResults
    from indexing.facets import FacetCounts

__all__ = [
    "MODES",
    "MOST_VALUES",
    "RESULT_COUNTS",
    "Card",
    "Facet",
    "SearchRequest",
    "combined_filter",
    "facet_choices",
    "highlighted_html",
    "make_card",
    "search",
]

MODES = {"hybrid": "Hybrid", "semantic": "Semantic", "keyword": "Keyword"}
RESULT_COUNTS = (5, 10, 20, 50)

# A person waits no longer than this for a better order.
RERANK_BUDGET_MS = 1500.0

_FACET_PREFIX = "f."
_MOST_FACETS = 4
MOST_VALUES = 400  # a longer list is no choice any more: the filter expression serves there
_CHIP_LENGTH = 40
_SHOWN_TEXT = 20_000  # characters; a document may hold megabytes, and ten of them are on a page
_INDENTED = re.compile(r"^(?: {2,}|\t|>>>)\S", re.MULTILINE)


@dataclass(frozen=True)
class SearchRequest:
    """One state of the search page.

    Attributes:
        q: the question.
        picks: metadata field -> values that are allowed in it; fields are combined by AND, values by OR.
        filter: a filter expression as a person wrote it, combined with `picks` by AND.
    """

    q: str = ""
    collection: str = ""
    mode: str = "hybrid"
    k: int = 10
    filter: str = ""
    rerank: bool = False
    picks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Sequence[str]]) -> SearchRequest:
        """The state an address describes. What it says wrongly is ignored: an old link should still open."""

        def last(name: str) -> str:
            return parameters[name][-1] if parameters.get(name) else ""

        mode = last("mode")
        k = last("k")
        picks = {
            name[len(_FACET_PREFIX) :]: tuple(sorted(set(values)))
            for name, values in parameters.items()
            if name.startswith(_FACET_PREFIX) and values
        }
        return cls(
            q=last("q"),
            collection=last("collection"),
            mode=mode if mode in MODES else "hybrid",
            k=min(RESULT_COUNTS, key=lambda count: abs(count - int(k)))
            if k.isascii() and k.isdigit() and len(k) < 10
            else 10,
            filter=last("filter"),
            rerank=last("rerank") == "1",
            picks=dict(sorted(picks.items())),
        )

    def to_parameters(self) -> dict[str, list[str]]:
        """The address of this state: only what differs from an empty page, so that addresses stay short."""
        given = {"q": self.q, "collection": self.collection, "filter": self.filter}
        parameters = {name: [value] for name, value in given.items() if value}
        if self.mode != "hybrid":
            parameters["mode"] = [self.mode]
        if self.k != 10:
            parameters["k"] = [str(self.k)]
        if self.rerank:
            parameters["rerank"] = ["1"]
        for name, values in sorted(self.picks.items()):
            if values:
                parameters[_FACET_PREFIX + name] = sorted(values)
        return parameters

    def without_filters(self) -> SearchRequest:
        return replace(self, filter="", picks={})

    @property
    def filtered(self) -> bool:
        return bool(self.filter.strip() or any(self.picks.values()))


@dataclass(frozen=True)
class Facet:
    """A metadata field to choose from: (value, number of documents), commonest first."""

    name: str
    counts: tuple[tuple[Any, int], ...]

    def count_of(self) -> dict[str, int]:
        return {str(value): count for value, count in self.counts}


def facet_choices(counts: Mapping[str, FacetCounts]) -> list[Facet]:
    """The fields worth choosing from, shortest list first.

    Left out are fields with one value (no choice), with very many, and with nearly one per document (names).
    """
    chosen = [
        Facet(name, tuple((value, count) for value, count in field.values if value != ""))
        for name, field in counts.items()
        if 2 <= field.distinct <= min(MOST_VALUES, max(10, field.documents // 4))
    ]
    return sorted(chosen, key=lambda facet: (len(facet.counts), facet.name))[:_MOST_FACETS]


def search(
    collection: Collection,
    request: SearchRequest,
    facets: Iterable[Facet] = (),
    reranker: str | None = None,
) -> SearchResults:
    """Ask `collection`. `facets` tell the types of picked values, which an address holds as text; `reranker`
    re-orders the answers where the request wants that.

    Raises:
        FilterError: the written filter cannot be understood; its position counts in `request.filter`.
    """
    return collection.search(
        request.q,
        k=request.k,
        mode=request.mode,
        filter=combined_filter(request, facets),
        rerank=reranker if request.rerank else None,
        rerank_budget_ms=RERANK_BUDGET_MS,
    )


def combined_filter(request: SearchRequest, facets: Iterable[Facet] = ()) -> str | None:
    """Picks and the written expression as one expression; None when nothing is filtered.

    Raises:
        FilterError: the written part cannot be understood. It is read on its own first, so that positions
            count in what the person wrote and an odd bracket in it cannot reach the picks.
    """
    from indexing.search.filters import parse_filter

    typed = {facet.name: {str(value): value for value, _ in facet.counts} for facet in facets}
    parts = []
    if request.filter.strip():
        parse_filter(request.filter)
        parts.append(f"({request.filter})")
    for name, values in request.picks.items():
        if values:
            known = typed.get(name, {})
            parts.append(_is_one_of(name, [known.get(value, value) for value in values]))
    return " and ".join(parts) or None


def _is_one_of(name: str, values: Sequence[Any]) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return f"{quoted} in ({', '.join(_literal(value) for value in values)})"


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"


@dataclass(frozen=True)
class Card:
    """One result, ready to be shown. Fields that end in `_html` are escaped already, the others are not."""

    rank: int
    id: str
    title: str
    snippet_html: str
    chips: tuple[tuple[str, str], ...]
    score: str
    parts: tuple[tuple[str, str], ...]
    metadata: tuple[tuple[str, str], ...]
    text: str  # empty where the snippet is all there is
    more_characters: int  # of the text, beyond what is shown
    preformatted: bool  # line breaks and indentation carry meaning, as in code and tables


def make_card(rank: int, result: Result, facets: Sequence[Facet] = ()) -> Card:
    """`result` as a card. Its chips are the fields one can filter by, else the first short ones."""
    metadata = tuple((name, _readable(value)) for name, value in result.metadata.items())
    metadata = tuple((name, value) for name, value in metadata if value)
    choices = [facet.name for facet in facets]
    short = [(name, value) for name, value in metadata if len(value) <= _CHIP_LENGTH]
    chips = [chip for chip in short if chip[0] in choices] if choices else short[:_MOST_FACETS]
    return Card(
        rank=rank,
        id=result.id,
        title=result.title or result.id,
        snippet_html=highlighted_html(result.snippet.text, result.snippet.highlights),
        chips=tuple(chips),
        score=_number(result.score),
        parts=tuple(explained(result.parts)),
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
            pieces += [html.escape(text[done:start]), "<mark>", html.escape(text[start:end]), "</mark>"]
            done = end
    return "".join([*pieces, html.escape(text[done:])])


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
