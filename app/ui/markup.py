"""The parts of the page that Streamlit has no widget for, as HTML. Every text from outside is escaped.

Folding parts are `<details>`: the browser opens them at once, without asking the server. The full text is
none: that somebody opened it is worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import quote

from app.facade.search import Facet, SearchRequest
from app.text import caret
from app.ui.cards import Card
from app.ui.outside import as_html, isolate
from app.wording import format_count, format_milliseconds
from indexing import SearchResults
from indexing.errors import FilterError
from indexing.search.filter_spelling import spell_field, spell_value

ICON = Path(__file__).with_name("static") / "icon.svg"

__all__ = [
    "ICON",
    "aside",
    "asked",
    "brand",
    "card",
    "collection_name",
    "comparison",
    "failure",
    "filter_example",
    "filter_failure",
    "full_text",
    "hints",
    "names_of",
    "no_collections",
    "note",
    "nothing_found",
    "said",
    "said_of_all",
    "searching",
    "style",
    "summary",
    "weak",
    "welcome",
]


@cache
def style() -> str:
    logo = quote(ICON.read_text(encoding="utf-8").strip())
    sheet = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
    return f"<style>:root {{ --logo: url('data:image/svg+xml,{logo}'); }}\n{sheet}</style>"


def brand() -> str:
    return '<span class="st-brand">stlib</span>'


def collection_name(name: str) -> str:
    return f'<span class="st-collection">{isolate(name)}</span>'


def welcome(documents: int, *, examples: bool) -> str:
    hint = (
        "Try one of these:" if examples else "Ask in your own words: a few words or a whole question will do."
    )
    return f'<div class="st-welcome"><p>{format_count(documents, "document")}. {hint}</p></div>'


def no_collections() -> str:
    return (
        '<section class="st-note"><h2>Nothing to search yet</h2>'
        "<p>Index a folder in a terminal, then reload this page:</p>"
        "<pre>stlib index notes ~/Documents/notes</pre></section>"
    )


def note(title: str, text: str) -> str:
    """What stands where there is nothing to show yet: what it is, and what to do."""
    return f'<section class="st-note"><h2>{as_html(title)}</h2><p>{as_html(text)}</p></section>'


def failure(message: str) -> str:
    return f'<section class="st-note st-bad" role="alert"><p>{as_html(message)}</p></section>'


def aside(text: str) -> str:
    """What one may want to know besides."""
    return f'<p class="st-aside">{as_html(text)}</p>'


def filter_failure(expression: str, error: FilterError) -> str:
    pointer = (
        f"<pre>{as_html(caret(expression, error.position, ''), prose=True)}</pre>"
        if error.position is not None
        else ""
    )
    return f'<section class="st-note st-bad" role="alert"><p>{as_html(str(error))}</p>{pointer}</section>'


def hints(notes: Sequence[str]) -> str:
    """What a person should know about the answer: a field that no document has, a reranker that failed."""
    lines = "".join(f"<p>{as_html(note)}</p>" for note in notes)
    return f'<div class="st-hints" role="status">{lines}</div>' if lines else ""


def weak(sentence: str) -> str:
    """Why the answers below may be none."""
    return f'<div class="st-hints st-weak" role="status"><p>{as_html(sentence)}</p></div>'


def asked(results: SearchResults, question: str) -> str:
    """Marks what follows as the answers to `question`, for `app.ui.scripts`."""
    return f'<span hidden data-asked="{as_html(question)}" data-answer="{as_html(results.id)}"></span>'


def nothing_found(request: SearchRequest) -> str:
    if request.filtered:
        advice = "Nothing that passes the filters answers this. Clear a filter, or choose more values in it."
    elif request.mode == "keyword":
        advice = "No document has any of these words. Try Hybrid or Semantic, which search by meaning."
    else:
        advice = "Try other words, or fewer."
    return f'<section class="st-note"><h2>No results</h2><p>{advice}</p></section>'


def summary(results: SearchResults, request: SearchRequest) -> str:
    """How many, how fast, under which filters; on demand where the time went."""
    count = len(results.results)
    longest = max(results.steps.values(), default=0) or 1
    rows = "".join(
        f"<tr><th>{as_html(name.replace('_', ' '))}</th>"
        f'<td class="st-number">{format_milliseconds(spent)}</td>'
        f'<td class="st-bar"><i style="width:{max(1, round(100 * spent / longest))}%"></i></td></tr>'
        for name, spent in results.steps.items()
    )
    notes = [f"{name}: {' or '.join(values)}" for name, values in request.picks.items()]
    notes += [request.filter] if request.filter else []
    if results.keyword_lag:
        notes.append(f"keyword index {format_count(results.keyword_lag, 'change')} behind")
    if results.stopped or results.reranked is not None:
        notes.append(results.stopped or f"{format_count(results.reranked or 0, 'document')} reranked")
    extra = "".join(f" · {isolate(note)}" for note in notes)
    return (
        f'<details class="st-summary"><summary>{format_count(count, "result")} in '
        f"{format_milliseconds(results.took_ms)}{extra}</summary><table>{rows}</table></details>"
        f"{hints([note for note in results.notes if note != results.stopped])}"
    )


def comparison(live: SearchResults, other: SearchResults) -> str:
    """The answers of two servings side by side, with what moved."""
    columns = [
        (f"Serving {live.serving}, live", live, other),
        (f"Serving {other.serving}", other, live),
    ]
    sides = "".join(
        f"<div><h3>{title}</h3><ol>{''.join(_place(mine, theirs, i) for i in range(len(mine)))}</ol></div>"
        for title, mine, theirs in columns
    )
    return f'<section class="st-sides st-compared" aria-label="Two servings compared">{sides}</section>'


def _place(mine: SearchResults, theirs: SearchResults, index: int) -> str:
    """One answer, and where the other serving has it."""
    result = mine[index]
    others = [one.id for one in theirs]
    if result.id not in others:
        mark, kind = "only here", "st-fresh"
    else:
        moved = others.index(result.id) - index
        mark = "" if not moved else f"{'▲' if moved > 0 else '▼'} {abs(moved)}"
        kind = ""
    return (
        f'<li class="{kind}">{isolate(result.title or result.id)} <span class="st-moved">{mark}</span></li>'
    )


def filter_example(facets: Sequence[Facet]) -> str:
    """An expression that would work here."""
    for facet in facets:
        for value, _ in facet.counts:
            if isinstance(value, str):
                return f"{spell_field(facet.name)} = {spell_value(value)}"
    return "year >= 2020"


def card(card: Card) -> str:
    """One result; what can be said of it, and its text, are drawn below."""
    chips = "".join(
        f'<span class="st-chip"><span class="st-field">{isolate(name)}</span>{isolate(value)}</span>'
        for name, value in card.chips
    )
    return (
        '<article class="st-card">'
        f'<div class="st-title"><span class="st-rank">{card.rank}</span>'
        f'<span dir="auto" role="heading" aria-level="2">{as_html(card.title)}</span></div>'
        f"{_crumbs(card)}"
        f'<div class="st-snippet" dir="auto">{card.snippet_html}</div>'
        f'<div class="st-chips">{chips}</div>'
        '<div class="st-more">'
        f"<details><summary>Score {card.score}</summary>{_table(card.parts)}</details>"
        f"<details><summary>Details</summary>{_table([('id', card.id), *card.metadata])}</details>"
        "</div></article>"
    )


def _crumbs(card: Card) -> str:
    """Where it is from, and a button that copies the path."""
    if not card.crumbs:
        return ""
    crumbs = '<span class="st-part">›</span>'.join(isolate(crumb) for crumb in card.crumbs)
    copy = (
        f'<button class="st-copy" type="button" data-copy="{escape(card.path)}"'
        f' title="Copy the path">Copy path</button>'
        if card.path
        else ""
    )
    return f'<div class="st-crumbs"><span>{crumbs}</span>{copy}</div>'


def names_of(names: Iterable[str]) -> str:
    """What is folded behind a button, as far as it fits beside it."""
    return f'<span class="st-names">{", ".join(map(isolate, names))}</span>'


def full_text(card: Card) -> str:
    rest = (
        f'<p class="st-rest">… and {card.more_characters:,} more characters</p>'
        if card.more_characters
        else ""
    )
    kind = "st-text st-code" if card.preformatted else "st-text"
    return f'<div class="{kind}" dir="auto" tabindex="0">{as_html(card.text, prose=True)}</div>{rest}'


def said(mine: str, others: str) -> str:
    """What this visitor and others said of a document; empty where nobody did."""
    parts = [f"<b>You: {as_html(mine)}</b>"] if mine else []
    parts += [as_html(others)] if others else []
    return f'<span class="st-said" role="status">{" · ".join(parts)}</span>'


def said_of_all(none: bool, brought: Sequence[str]) -> str:
    """What was said of the answers as a whole, and the right ones that were brought."""
    lines = ["You: none of these. Thank you, that is learned from too."] if none else []
    lines += [f"You: the right answer is {isolate(document)}" for document in brought]
    return f'<div class="st-said" role="status">{"<br>".join(lines)}</div>'


def searching() -> str:
    """Stands in the place of the answers until they are there; seen only where that takes a while."""
    bones = "<div></div>" * 3
    return f'<div class="st-bones" role="status" aria-label="Searching">{bones}</div>'


def _table(rows: Iterable[tuple[str, str]]) -> str:
    body = "".join(f"<tr><th>{isolate(name)}</th><td>{isolate(value)}</td></tr>" for name, value in rows)
    return f"<table>{body}</table>"
