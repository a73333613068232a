"""The parts of the page that Streamlit has no widget for, as HTML. Every text from outside is escaped.

Folding parts are `<details>`: the browser opens them at once, without asking the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

from app.search_view import Card, Facet, SearchRequest
from indexing import SearchResults
from indexing.errors import FilterError

ICON = Path(__file__).with_name("static") / "icon.svg"

__all__ = [
    "ICON",
    "cards",
    "failure",
    "filter_example",
    "filter_failure",
    "focus_script",
    "masthead",
    "no_collections",
    "nothing_found",
    "style",
    "summary",
    "welcome",
]


@cache
def style() -> str:
    return f"<style>{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"


def masthead(collection: str = "") -> str:
    name = f'<span class="st-collection">{escape(collection)}</span>' if collection else ""
    return f'<header class="st-masthead"><span class="st-brand">stlib</span>{name}</header>'


def focus_script(label: str) -> str:
    """Put the cursor into the box `label`, where there is a mouse: on a phone the keyboard would jump up."""
    return (
        "<script>if (matchMedia('(pointer: fine)').matches)"
        f" document.querySelector('input[aria-label=\"{label}\"]')?.focus();</script>"
    )


def welcome(documents: int, *, examples: bool) -> str:
    hint = (
        "Try one of these:" if examples else "Ask in your own words: a few words or a whole question will do."
    )
    return f'<div class="st-welcome"><p>{documents:,} documents. {hint}</p></div>'


def no_collections() -> str:
    return (
        '<section class="st-note"><h2>Nothing to search yet</h2>'
        "<p>Index a folder in a terminal, then reload this page:</p>"
        "<pre>stlib index notes ~/Documents/notes</pre></section>"
    )


def failure(message: str) -> str:
    return f'<section class="st-note st-bad" role="alert"><p>{escape(message)}</p></section>'


def filter_failure(expression: str, error: FilterError) -> str:
    pointer = (
        f"<pre>{escape(expression)}\n{' ' * error.position}^</pre>" if error.position is not None else ""
    )
    return f'<section class="st-note st-bad" role="alert"><p>{escape(str(error))}</p>{pointer}</section>'


def nothing_found(request: SearchRequest) -> str:
    if request.filtered:
        advice = "Nothing that passes the filters answers this. Clear a filter, or choose more values in it."
    elif request.mode == "keyword":
        advice = "No document has any of these words. Try Hybrid or Semantic, which search by meaning."
    else:
        advice = "Try other words, or fewer."
    return f'<section class="st-note"><h2>No results</h2><p>{escape(advice)}</p></section>'


def summary(results: SearchResults) -> str:
    """How many, how fast, and on demand where the time went."""
    count = len(results.results)
    longest = max(results.steps.values(), default=0) or 1
    rows = "".join(
        f'<tr><th>{escape(name.replace("_", " "))}</th><td class="st-number">{milliseconds:.1f} ms</td>'
        f'<td class="st-bar"><i style="width:{max(1, round(100 * milliseconds / longest))}%"></i></td></tr>'
        for name, milliseconds in results.steps.items()
    )
    lag = f" · keyword index {results.keyword_lag:,} changes behind" if results.keyword_lag else ""
    return (
        f'<details class="st-summary"><summary>{count} result{"s" * (count != 1)} in '
        f"{results.took_ms:.1f} ms{lag}</summary><table>{rows}</table></details>"
    )


def cards(cards: Sequence[Card]) -> str:
    return f'<ol class="st-cards">{"".join(_card(card) for card in cards)}</ol>'


def filter_example(facets: Sequence[Facet]) -> str:
    """An expression that would work here."""
    for facet in facets:
        for value, _ in facet.counts:
            if isinstance(value, str):
                quoted = value.replace("'", "''")
                return f"{facet.name} = '{quoted}'"
    return "year >= 2020"


def _card(card: Card) -> str:
    chips = "".join(
        f'<li><span class="st-field">{escape(name)}</span>{escape(value)}</li>' for name, value in card.chips
    )
    parts = "".join(
        f'<tr><th>{escape(name)}</th><td class="st-number">{escape(value)}</td></tr>'
        for name, value in card.parts
    )
    fields = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in card.metadata
    )
    return (
        '<li class="st-card">'
        f'<div class="st-title"><span class="st-rank">{card.rank}</span>'
        f'<span role="heading" aria-level="2">{escape(card.title)}</span></div>'
        f'<p class="st-snippet">{card.snippet_html}</p>'
        f'<ul class="st-chips">{chips}</ul>'
        '<div class="st-more">'
        f'<details><summary>Full text</summary><div class="st-text{" st-code" * card.preformatted}">'
        f"{escape(card.text)}</div>{_rest(card)}</details>"
        f"<details><summary>Score {escape(card.score)}</summary><table>{parts}</table></details>"
        f"<details><summary>Details</summary><table><tr><th>id</th><td>{escape(card.id)}</td></tr>{fields}</table>"
        "</details></div></li>"
    )


def _rest(card: Card) -> str:
    return (
        f'<p class="st-rest">… and {card.more_characters:,} more characters</p>'
        if card.more_characters
        else ""
    )
