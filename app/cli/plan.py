"""`stlib plan`: what a collection of a given size will need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from app.cli.beside import beside_options, sparse_of
from app.cli.options import json_option, location_options
from app.cli.quantities import BYTES, COUNT, POSITIVE
from app.cli.terminal import echo, echo_json, echo_rows, echo_table, echo_wrapped, style
from app.settings import Location
from app.wording import format_count, format_decimal, format_hours, format_milliseconds, format_quantity
from indexing.names import DEFAULT_PRECISION, ENGINES, PRECISIONS

if TYPE_CHECKING:
    from indexing.sizing import Plan, Sums
    from indexing.sizing.existing import Existing

__all__ = ["command"]

_TITLES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "ray": "Ray + Milvus"}
_BOUNDS = {"memory": "memory", "search": "the time of a search", "hours": "hours"}
# What describes documents that are not there yet: a collection says it by itself.
_OF_DOCUMENTS = (
    "length",
    "model",
    "dimension",
    "sparse",
    "tokens",
    "legs",
    "max_tokens",
    "overlap",
    "characters_per_token",
)


@click.command("plan")
@click.argument("name", required=False)
@click.option("--documents", type=COUNT, metavar="N", help="How many documents, such as 40M.")
@click.option("--length", type=COUNT, metavar="N", help="Characters of a document, on average.")
@click.option("--model", metavar="M", help="Folder or name of the model. Default: the bundled one.")
@click.option("--dimension", type=click.IntRange(1, 65_536), metavar="N", help="Numbers of a vector.")
@click.option(
    "--speed", type=POSITIVE, metavar="N", help="Passages a second that one core embeds, with all models."
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help=f"How vectors are stored. Default: {DEFAULT_PRECISION}.",
)
@click.option("--engine", type=click.Choice(ENGINES), help="Vector engine, where it fits.")
@beside_options
@click.option("--max-tokens", type=click.IntRange(min=1), default=256, metavar="N", help="Longest passage.")
@click.option("--overlap", type=click.IntRange(min=0), default=32, metavar="N", help="Tokens shared by two.")
@click.option(
    "--characters-per-token", type=POSITIVE, metavar="N", help="Default: 5, as in English; Chinese has 1.5."
)
@click.option(
    "--times", type=POSITIVE, metavar="N", help="With NAME: so many times its documents. Default: 10."
)
@click.option("--cores", type=click.IntRange(1, 10_000), default=8, show_default=True, help="Of a machine.")
@click.option("--memory", type=BYTES, default="32G", show_default=True, help="Of a machine, such as 24G.")
@click.option(
    "--workers",
    type=click.IntRange(1, 10_000),
    default=4,
    show_default=True,
    help="Machines for Ray, Milvus.",
)
@click.option(
    "--replicas", type=click.IntRange(1, 100), default=1, show_default=True, help="Of each vector in Milvus."
)
@click.option(
    "--search-ms", type=POSITIVE, default=200, show_default=True, help="Milliseconds a search may take."
)
@click.option(
    "--hours", type=POSITIVE, default=48, show_default=True, help="Hours until everything can be searched."
)
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str | None,
    documents: int | None,
    times: float | None,
    legs: tuple[str, ...] | None,
    sparse: str | None,
    cores: int,
    memory: float,
    workers: int,
    replicas: int,
    search_ms: float,
    hours: float,
    location: Location,
    as_json: bool,
    **asked: Any,
) -> None:
    """Say what documents will need: passages, hours, disk, memory, milliseconds.

    Such as `stlib plan --documents 40M --length 500`, or `stlib plan notes --times 100`.

    Three ways are added up: one machine with SQLite, one with PostgreSQL, and Ray with Milvus on several.
    The first that keeps to --memory, --search-ms and --hours is advised. With NAME the settings and the bytes
    of that collection count. The sums begin at what was measured, see indexing/SIZING.md.
    """
    from app.facade.planning import PlanChoices, plan_collection, plan_documents
    from indexing.sizing import Limits, Machines

    choices = PlanChoices(
        documents=documents,
        sparse=sparse_of(legs, sparse),
        machines=Machines(cores, memory, workers, replicas),
        limits=Limits(search_ms, hours),
        **asked,
    )
    now = None
    if name is None:
        _check_documents(context, documents, choices.length, times)
        plan = plan_documents(choices)
    else:
        _check_collection(context, documents, times)
        now, plan = plan_collection(location, name, times, choices)
    if as_json:
        echo_json({**plan.to_dict(), **({} if name is None or now is None else _now(name, now))})
        return
    if name is not None and now is not None:
        _print_now(name, now)
    _print(plan)


def _check_documents(
    context: click.Context, documents: int | None, length: float | None, times: float | None
) -> None:
    if documents is None or length is None:
        missing = "--documents" if documents is None else "--length"
        raise click.UsageError(
            f"{missing} is missing: give --documents 40M --length 500, or the NAME of a collection", context
        )
    if times is not None:
        raise click.UsageError("--times is for a collection: give its NAME, or --documents alone", context)


def _check_collection(context: click.Context, documents: int | None, times: float | None) -> None:
    given = [
        option for option in _OF_DOCUMENTS if context.get_parameter_source(option) is _ON_THE_COMMAND_LINE
    ]
    if given:
        raise click.UsageError(
            f"--{given[0].replace('_', '-')} is for documents that are not indexed yet; a collection says it"
            " by itself: leave it away, or the NAME",
            context,
        )
    if documents is not None and times is not None:
        raise click.UsageError("--documents and --times say the same: give one of them", context)


_ON_THE_COMMAND_LINE = click.core.ParameterSource.COMMANDLINE


def _now(name: str, now: Existing) -> dict[str, Any]:
    return {
        "collection": name,
        "now": {
            "documents": now.workload.documents,
            "passages": round(now.workload.passages),
            "catalog_bytes": now.catalog_bytes,
            "catalog_sum": round(now.catalog_sum),
            "view_bytes": now.view_bytes,
            "view_sum": round(now.view_sum),
        },
    }


def _print_now(name: str, now: Existing) -> None:
    work = now.workload
    echo(style(name, bold=True))
    echo_rows(
        [
            ("now", f"{format_count(work.documents, 'document')} of {work.length:,.0f} characters"),
            ("catalog", _beside_sum(now.catalog_bytes, now.catalog_sum)),
            ("indexes", _beside_sum(now.view_bytes, now.view_sum)),
        ]
    )
    echo()


def _beside_sum(measured: float, added: float) -> str:
    return f"{format_decimal(measured)} measured, {format_decimal(added)} by the sums"


def _print(plan: Plan) -> None:
    work, model = plan.workload, plan.workload.model
    each = work.tokens / work.passages
    rate = plan.to_dict()["model"]["passages_per_second"]
    speed = f", {_rate(rate)} passages/s a core ({model.how})" if rate else ""
    documents = format_quantity(work.documents)
    title = f"{documents} documents of {work.length:,.0f} characters"
    echo_wrapped(title, bold=title)
    echo_rows(
        [
            ("passages", f"{format_quantity(work.passages)} of {each:,.0f} tokens"),
            ("model", f"{model.name or 'vectors of your own'}, {model.dimension} dimensions{speed}"),
            ("codes", work.precision),
            ("one core", f"{format_hours(plan.one_core_seconds)} to embed and store"),
        ]
    )
    echo()
    echo_table(["", *(_TITLES[one.setup] for one in plan.sums)], _table(plan), right=(1, 2, 3))
    echo()
    _print_advice(plan)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _table(plan: Plan) -> list[list[str]]:
    machines = plan.machines
    sums = plan.sums
    several = f"{machines.workers} x {machines.cores}"
    rows = [
        ["engine", *(one.engine for one in sums)],
        ["cores", f"{machines.cores}", f"{machines.cores}", several],
        ["embedding", *(format_hours(one.embedding_seconds) for one in sums)],
        ["indexes made", *(format_hours(one.view_seconds) for one in sums)],
    ]
    parts = list(dict.fromkeys(part for one in sums for part in one.disk))
    rows += [[f"disk: {part}", *(format_decimal(one.disk[part]) for one in sums)] for part in parts]
    rows += [
        ["disk", *(format_decimal(one.disk_bytes) for one in sums)],
        ["memory held", *(format_decimal(one.memory.resident) for one in sums)],
        ["and mapped", *(format_decimal(one.memory.mapped) for one in sums)],
        ["each of Milvus", *(format_decimal(one.each) if one.each else "" for one in sums)],
        ["search, median", *(format_milliseconds(one.search_ms) for one in sums)],
        ["figures", *("measured" if one.measured else "not measured" for one in sums)],
    ]
    return rows


def _print_advice(plan: Plan) -> None:
    best = plan.best
    title = _TITLES[best.setup]
    if best.missed:
        echo_wrapped(f"advised: {title}, which misses bounds: {_lacks(best, plan)}", bold="advised:")
    else:
        echo_wrapped(f"advised: {title}, the first that keeps every bound", bold="advised:")
    echo_rows([(_TITLES[step.setup], _reach(step.documents, step.ends_by)) for step in plan.steps])
    limits, memory = plan.limits, format_decimal(plan.machines.memory)
    echo_wrapped(
        f"bounds: {memory} of memory (--memory), {format_milliseconds(limits.search_ms)} a search"
        f" (--search-ms), {limits.hours:g} hours (--hours). Whatever the size, PostgreSQL also pays where"
        " several machines add or search.",
        dim="bounds:",
    )


def _reach(documents: int, ends_by: tuple[str, ...]) -> str:
    beyond = " and ".join(_BOUNDS[bound] for bound in ends_by)
    if not documents:
        return f"misses a bound with one document: {beyond}"
    if not ends_by:
        return "without end"
    return f"up to {format_quantity(documents)} such documents, ended by {beyond}"


def _lacks(best: Sums, plan: Plan) -> str:
    lacks = {
        "memory": f"{format_decimal(max(best.memory.wanted, best.each))} of memory a machine",
        "search": f"{format_milliseconds(best.search_ms)} a search",
        "hours": f"{format_hours(best.embedding_seconds + best.view_seconds)} until it answers",
    }
    said = ", ".join(lacks[bound] for bound in best.missed)
    needed = plan.workers_needed
    if best.setup != "ray" or best.missed == ("search",) or needed is None:
        return said
    return f"{said}; {format_count(needed, 'machine')} (--workers) would keep memory and hours"
