"""`stlib reindex`: another model, precision, engine or ranking, while the collection is used."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from app.cli.beside import beside_options, sparse_of
from app.cli.failures import Interrupted
from app.cli.jobs import start_in_background
from app.cli.options import background_option, json_option, location_options
from app.cli.progress import ProgressBar
from app.cli.terminal import echo, echo_json, echo_rows, echo_wrapped, style
from app.settings import Location
from app.wording import format_bytes, format_count, format_duration, format_model
from indexing.names import ENGINES, LEGS, PRECISIONS

if TYPE_CHECKING:
    from app.facade.reindex import Outlook, ReindexChoices, ReindexSummary

__all__ = ["command"]


class _Weight(click.ParamType[tuple[str, float]]):
    """`LEG=NUMBER`."""

    name = "LEG=NUMBER"

    def convert(
        self, value: object, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str, float]:
        leg, _, number = str(value).partition("=")
        try:
            return leg, float(number)
        except ValueError:
            self.fail(f"{value!r} is none, such as {LEGS[0]}=0.5; the legs are {', '.join(LEGS)}")


@click.command("reindex")
@click.argument("name")
@click.option("--model", metavar="M", help="Folder or name of another model.")
@click.option("--precision", type=click.Choice(PRECISIONS), help="How vectors are stored.")
@click.option("--engine", type=click.Choice(ENGINES), help="Vector engine.")
@click.option("--max-tokens", type=click.IntRange(min=1), metavar="N", help="Longest passage, in tokens.")
@click.option(
    "--overlap", type=click.IntRange(min=0), metavar="N", help="Tokens that two passages may share."
)
@beside_options
@click.option("--no-tokens", is_flag=True, help="Give up the vectors of tokens.")
@click.option("--reranker", metavar="R", help="Re-order every answer with it that names no other.")
@click.option("--no-reranker", is_flag=True, help="Re-order no answer, unless it is asked for.")
@click.option(
    "--weight",
    "weights",
    type=_Weight(),
    multiple=True,
    metavar="LEG=NUMBER",
    help=f"What a leg counts for in hybrid search; 1 is usual. The legs are {', '.join(LEGS)}.",
)
@click.option(
    "--boost",
    "boosts",
    type=(float, str),
    multiple=True,
    metavar="NUMBER FILTER",
    help="Add NUMBER to the hybrid score of documents that match FILTER, instead of the boosts so far;"
    " 1 is one spread of a leg's scores.",
)
@click.option("--no-boosts", is_flag=True, help="Add nothing by filters any more.")
@click.option("--no-promote", is_flag=True, help="Make it ready only: `stlib promote` makes it live.")
@background_option
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    model: str | None,
    precision: str | None,
    engine: str | None,
    max_tokens: int | None,
    overlap: int | None,
    legs: tuple[str, ...] | None,
    sparse: str | None,
    tokens: str | None,
    no_tokens: bool,
    reranker: str | None,
    no_reranker: bool,
    weights: tuple[tuple[str, float], ...],
    boosts: tuple[tuple[float, str], ...],
    no_boosts: bool,
    no_promote: bool,
    background: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Change how collection NAME finds its answers, while others search it and add to it.

    What is not given stays as it is, and only what the change needs is done. With no change at all everything
    is embedded anew. A run that was stopped goes on when the same command is given again.
    """
    from app.facade.reindex import ReindexChoices

    if reranker and no_reranker:
        raise click.UsageError("--reranker and --no-reranker contradict each other", context)
    if tokens and no_tokens:
        raise click.UsageError("--tokens and --no-tokens contradict each other", context)
    if boosts and no_boosts:
        raise click.UsageError("--boost and --no-boosts contradict each other", context)
    boosted = [{"filter": condition, "weight": weight} for weight, condition in boosts]
    choices = ReindexChoices(
        model=model,
        precision=precision,
        engine=engine,
        max_tokens=max_tokens,
        overlap=overlap,
        reranker="" if no_reranker else reranker,
        sparse=sparse_of(legs, sparse),
        tokens="" if no_tokens else tokens,
        weights=dict(weights) or None,
        boosts=boosted if boosts or no_boosts else None,
        promote=not no_promote,
    )
    if background:
        _start_job(location, name, choices, as_json)
        return
    summary = _reindex_with_progress(location, name, choices, quiet=as_json)
    if as_json:
        echo_json(summary.to_dict())
    else:
        _print_summary(summary)


def _start_job(location: Location, name: str, choices: ReindexChoices, as_json: bool) -> None:
    from app.facade.reindex import look_ahead
    from app.jobs.kinds.reindex import describe

    outlook = look_ahead(location, name, choices)
    if not as_json:
        _print_outlook(outlook, name)
    start_in_background(location, "reindex", describe(name, choices, outlook), as_json)


def _reindex_with_progress(
    location: Location, name: str, choices: ReindexChoices, *, quiet: bool
) -> ReindexSummary:
    """
    Raises:
        Interrupted: Ctrl-C; the message says how to go on.
    """
    from app.facade.reindex import reindex_collection
    from app.facade.who import login_name

    bar = ProgressBar()
    with ExitStack() as below:

        def announce(outlook: Outlook) -> None:
            if not quiet:
                _print_outlook(outlook, name)
            below.enter_context(bar)  # not before: it would stand in the way

        try:
            return reindex_collection(
                location,
                name,
                choices,
                who=login_name(),
                announce=announce,
                progress=lambda step: bar.show(step.share, step.documents),
            )
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; {name!r} answers as before, and {format_count(bar.committed, 'document')}"
                " of this run stay done: run the same command again to go on"
            ) from None


def _print_outlook(outlook: Outlook, name: str) -> None:
    plan = outlook.plan
    echo(style(f"reindex {name}", bold=True))
    begun = [("goes on", f"with generation {plan.target.id}, which was begun before")]
    echo_rows(
        [
            ("change", str(plan.serving["note"])),
            ("work", outlook.work),
            *(begun if plan.work != "none" and plan.target.id else []),
            ("disk", f"needs {format_bytes(plan.bytes_needed)}{_free(outlook)}"),
        ]
    )


def _free(outlook: Outlook) -> str:
    return "" if outlook.free is None else f", {format_bytes(outlook.free)} are free"


def _print_summary(summary: ReindexSummary) -> None:
    serving, name = summary.serving, summary.collection
    settings = f"{format_model(serving.model)}, {serving.precision}, {serving.engine}"
    if serving.reranker:
        settings += f", reranked by {serving.reranker}"
    state = "is live" if serving.live else "is ready, and not live"
    echo_wrapped(f"serving {serving.id} of {name} {state}: {settings}", bold=f"serving {serving.id}")
    report = summary.report
    rows = []
    if report is not None:
        made = f"{format_count(report.documents, 'document')} in {format_count(report.chunks, 'passage')}"
        rows = [("made", made), ("time", format_duration(report.seconds))]
    if serving.live:
        rows.append(("go back", f"`stlib rollback {name}`"))
    else:
        rows.append(("go live", f"`stlib promote {name} {serving.id}`"))
    echo_rows(rows)
