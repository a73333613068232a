"""`stlib search`: a question, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from app.cli.dashes import DashedCommand
from app.cli.filters import filter_option, point_at_errors
from app.cli.options import (
    json_option,
    location_options,
    mode_option,
    model_options,
    note_limits,
    rerank_options,
)
from app.cli.terminal import echo, echo_json, link_to, style, terminal_width, warn, wrap
from app.facade.showing import heading, snippet_below, whence
from app.settings import Location
from app.wording import format_count, format_equation
from indexing.names import DEFAULT_RESULTS, MODE_LEGS, SERVING_RERANKER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.facade.grouping import Group
    from indexing import Result, SearchResults

__all__ = ["command", "print_result", "print_results"]

_SNIPPET_LINES = 4
_ALIKE_NAMED = 5


@click.command("search", cls=DashedCommand)
@click.argument("name")
@click.argument("query")
@click.option(
    "-k",
    "count",
    type=click.IntRange(1, 10_000),
    default=DEFAULT_RESULTS,
    show_default=True,
    help="How many results.",
)
@mode_option
@filter_option
@click.option(
    "--offset",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Leave out the N best results: what follows a page of 10 is --offset 10.",
)
@rerank_options(budget=True)
@click.option("--group", is_flag=True, help="Show the documents of one file as one answer.")
@click.option("--each", is_flag=True, help="Show passages that say nearly the same one by one.")
@click.option("--explain", is_flag=True, help="Show the parts of each score and the time of each step.")
@model_options
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    query: str,
    count: int,
    mode: str,
    filter_: str | None,
    offset: int,
    rerank: str | None,
    rerank_depth: int,
    rerank_budget: float | None,
    group: bool,
    each: bool,
    explain: bool,
    model: str | None,
    sparse: str | None,
    tokens: str | None,
    location: Location,
    as_json: bool,
) -> None:
    """Ask collection NAME the question QUERY.

    Passages that say nearly the same are shown as one; JSON has each result for itself.
    """
    if not query.strip():
        raise click.UsageError("the question is empty", context)
    from app.facade.caller import local_caller
    from app.facade.feedback import draw_seed, log_search
    from app.facade.grouping import folded_ids
    from app.facade.paging import make_cards
    from indexing import Collection

    caller = local_caller("cli")
    with (
        Collection.open(
            name, model=model, sparse=sparse, tokens=tokens, **location.arguments()
        ) as collection,
        point_at_errors(context, filter_),
    ):
        results = collection.search(
            query,
            count,
            mode=mode,
            filter=filter_,
            offset=offset,
            rerank=SERVING_RERANKER if rerank is None else rerank,
            rerank_depth=rerank_depth,
            rerank_budget_ms=rerank_budget,
            seed=draw_seed(caller),
        )
        cards = make_cards([results], by_file=group and not as_json, alike=not (each or as_json))
        log_search(
            caller,
            location,
            collection,
            results,
            k=count,
            filter=filter_,
            reranker=rerank,
            folded=folded_ids(cards),
        )
    if as_json:
        echo_json({**results.to_dict(), **({"steps": results.steps} if explain else {})})
    else:
        print_results(results, cards, explain=explain)
    for note in results.notes:
        warn(f"stlib: note: {note}")
    if results.reranked is None:
        note_limits()


def print_results(results: SearchResults, cards: Sequence[Group], *, explain: bool = False) -> None:
    """Numbered results, best first, in the width of the terminal, and how long they took."""
    for card in cards:
        number, result = card.first.rank, card.first.result
        print_result(number, result)
        indent = " " * len(f"{number}. ")
        if explain:
            _print_dim(format_equation(result.score, result.parts), indent)
        _print_folded(card, indent)
        echo()
    count = len(results.results)
    took = f" in {results.took_ms:.1f} ms ({results.mode})"
    after = f" after the first {results.offset:,}" if results.offset else ""
    footer = format_count(count, "result") + took if count else f"no results{after}{took}"
    if results.keyword_lag:
        footer += f"; the keyword index is {format_count(results.keyword_lag, 'change')} behind"
    if results.stopped:
        footer += f"; {results.stopped}"
    elif results.reranked is not None:
        footer += f"; {format_count(results.reranked, 'document')} reranked"
    _print_dim(footer)
    if explain:
        if results.reranked and count:
            weight: Any = results.results[0].parts["rerank_weight"]
            how = (
                f"a score adds up reading (weight {weight:g}) and retrieval (weight {1 - weight:g}), each "
                "by its spread over what was read"
            )
            if any(result.parts.get("rerank") is None for result in results.results):
                how += "; what was not read follows below, as far apart as retrieval had it"
            _print_dim(how)
        elif len(MODE_LEGS[results.mode]) > 1 and count:
            _print_dim("a score adds up what the legs say, each measured by its spread over the collection")
        steps = (f"{step} {milliseconds:.1f} ms" for step, milliseconds in results.steps.items())
        _print_dim(" · ".join(steps))


def print_result(number: int, result: Result, *, lines: int = _SNIPPET_LINES) -> None:
    """Title, snippet of at most `lines` lines with the words that count marked, id and score."""
    width = terminal_width()
    label = f"{number}. "
    indent = " " * len(label)
    for line in wrap(heading(result), width=width, indent=indent):
        echo(label + style(line[len(indent) :], bold=True))
        label = indent
    snippet = snippet_below(result.title, result.snippet)
    for line in wrap(
        snippet.text, width=width, indent=indent, spans=snippet.highlights, lines=lines, prose=True
    ):
        echo(line)
    found = whence(result)
    if found is not None:
        _print_dim(" › ".join(found.crumbs), indent, link=found.path)
    _print_dim(f"{result.id} · {result.score:.3f}", indent)


def _print_folded(card: Group, indent: str) -> None:
    """What stands behind the first of a card: ids of what says the same, places of what is of its file."""
    if card.alike:
        ids = ", ".join(f"{placed.rank}. {placed.result.id}" for placed in card.alike[:_ALIKE_NAMED])
        left = "" if len(card.alike) <= _ALIKE_NAMED else ", …"
        _print_dim(f"and {len(card.alike):,} more like it: {ids}{left}", indent)
    if card.of_file:
        _print_dim(f"and {len(card.of_file):,} more in this file:", indent)
    for placed in card.of_file:
        found, snippet = whence(placed.result), snippet_below(placed.result.title, placed.result.snippet)
        where = found.crumbs[-1] if found else placed.result.id
        for line in wrap(
            f"{placed.rank}. {where}: {snippet.text}", width=terminal_width(), indent=indent, lines=1
        ):
            echo(style(line, dim=True))


def _print_dim(text: str, indent: str = "", *, link: str = "") -> None:
    """`text` in a colour that stands back; a terminal that can opens the file `link` from it."""
    for line in wrap(text, width=terminal_width(), indent=indent):
        dim = style(line[len(indent) :], dim=True)
        echo(indent + (link_to(link, dim) if link else dim))
