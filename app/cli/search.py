"""`stlib search`: a question, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from app.cli.filters import filter_option, point_at_errors
from app.cli.options import (
    json_option,
    location_options,
    mode_option,
    model_option,
    note_limits,
    rerank_options,
)
from app.cli.terminal import echo, echo_json, style, terminal_width, warn, wrap
from app.settings import Location
from app.wording import format_count, format_equation
from indexing.names import DEFAULT_RESULTS, MODE_LEGS, SERVING_RERANKER

if TYPE_CHECKING:
    from indexing import Result, SearchResults

__all__ = ["command", "print_result", "print_results"]

_SNIPPET_LINES = 4


@click.command("search")
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
@click.option("--explain", is_flag=True, help="Show the parts of each score and the time of each step.")
@model_option
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
    explain: bool,
    model: str | None,
    location: Location,
    as_json: bool,
) -> None:
    """Ask collection NAME the question QUERY."""
    if not query.strip():
        raise click.UsageError("the question is empty", context)
    from app.facade.caller import local_caller
    from app.facade.feedback import draw_seed, log_search
    from indexing import Collection

    caller = local_caller("cli")
    with (
        Collection.open(name, model=model, **location.arguments()) as collection,
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
        log_search(caller, location, collection, results, k=count, filter=filter_, reranker=rerank)
    if as_json:
        echo_json({**results.to_dict(), **({"steps": results.steps} if explain else {})})
    else:
        print_results(results, explain=explain)
    for note in results.notes:
        warn(f"stlib: note: {note}")
    if results.reranked is None:
        note_limits()


def print_results(results: SearchResults, *, explain: bool = False) -> None:
    """Numbered results, best first, in the width of the terminal, and how long they took."""
    for number, result in enumerate(results.results, start=results.offset + 1):
        print_result(number, result)
        if explain:
            _print_dim(format_equation(result.score, result.parts), " " * len(f"{number}. "))
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
    for line in wrap(result.title or result.id, width=width, indent=indent):
        echo(label + style(line[len(indent) :], bold=True))
        label = indent
    snippet = result.snippet
    for line in wrap(
        snippet.text, width=width, indent=indent, spans=snippet.highlights, lines=lines, prose=True
    ):
        echo(line)
    _print_dim(f"{result.id} · {result.score:.3f}", indent)


def _print_dim(text: str, indent: str = "") -> None:
    for line in wrap(text, width=terminal_width(), indent=indent):
        echo(style(line, dim=True))
