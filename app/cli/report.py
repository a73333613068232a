"""`stlib report`: ways of searching, compared on judged questions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.jobs import start_in_background
from app.cli.options import background_option, json_option, location_options
from app.cli.terminal import echo, echo_json, echo_table, echo_wrapped, warn
from app.settings import Location
from indexing.names import MODES, PRECISIONS

if TYPE_CHECKING:
    from app.report.model import Report
    from app.report.systems import ReportChoices

__all__ = ["command"]

_LINE_SECONDS = 5.0


@click.command("report")
@click.argument("name")
@click.option(
    "--judgments",
    required=True,
    metavar="DIR",
    help="Folder in BEIR layout (queries.jsonl, qrels/), or 'feedback' for what people said here.",
)
@click.option("--split", default="test", show_default=True, help="Which judgments of DIR: qrels/SPLIT.tsv.")
@click.option("--mode", "modes", type=click.Choice(MODES), multiple=True, help="Compare this mode.")
@click.option(
    "--rerank", "rerankers", metavar="MODEL", multiple=True, help="Compare with this reranker; '' for none."
)
@click.option("--serving", "servings", type=int, metavar="ID", multiple=True, help="Compare this serving.")
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(PRECISIONS),
    multiple=True,
    help="Compare with vectors stored so, on a copy in a scratch folder.",
)
@click.option(
    "--system",
    "systems",
    metavar="S",
    multiple=True,
    help="Compare this system, such as 3,hybrid,rerank=; the first is the baseline. A report names its own.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write: .html, .json or .md.",
)
@click.option(
    "--format", "form", type=click.Choice(("html", "json", "md")), help="In place of the file's ending."
)
@background_option
@location_options
@json_option
def command(
    name: str,
    judgments: str,
    split: str,
    modes: tuple[str, ...],
    rerankers: tuple[str, ...],
    servings: tuple[int, ...],
    precisions: tuple[str, ...],
    systems: tuple[str, ...],
    output: Path | None,
    form: str | None,
    background: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Compare ways of searching collection NAME on judged questions, as one page.

    Modes, rerankers, servings and precisions that are given are combined; without any, what is live is
    compared in every mode, with and without a reranker, and with the newest other servings. Metrics have
    intervals, differences are tested against what is live. The report is kept for the Evaluate page, too.
    """
    from app.facade.caller import local_caller
    from app.facade.reports import write_report
    from app.report.rendering import format_of
    from app.report.systems import ReportChoices

    choices = ReportChoices(modes, rerankers, servings, precisions, systems)
    form = form or (format_of(output) if output is not None else None)
    if background:
        arguments = _describe(location, name, judgments, split, choices, output, form)
        start_in_background(location, "report", arguments, as_json)
        return
    report = write_report(
        local_caller("cli"), location, name, judgments, split, choices, output, form, _Teller(as_json)
    )
    if as_json:
        echo_json(report.to_dict())
    else:
        _print(report, output)


def _describe(
    location: Location,
    name: str,
    judgments: str,
    split: str,
    choices: ReportChoices,
    output: Path | None,
    form: str | None,
) -> dict[str, object]:
    from app.facade.who import login_name
    from app.jobs.kinds.report import describe

    return describe(location, name, judgments, split, choices, who=login_name(), output=output, form=form)


class _Teller:
    """A line on stderr now and then: how many searches were measured."""

    def __init__(self, quiet: bool) -> None:
        self._said = time.monotonic()
        self._quiet = quiet

    def __call__(self, done: int, total: int) -> None:
        if not self._quiet and time.monotonic() - self._said >= _LINE_SECONDS:
            self._said = time.monotonic()
            warn(f"{done / total:4.0%}  {done:,} of {total:,} searches" if total else f"{done:,} searches")


def _print(report: Report, output: Path | None) -> None:
    from app.report.model import TESTED
    from app.report.words import format_figure, format_interval, format_p, summary

    main = TESTED[0]
    rows = []
    for one in report.systems:
        figure, apart = one.metrics[main], one.differences.get(main)
        p = "baseline" if apart is None else format_p(apart.p_holm)
        time_ = f"{one.latency:.1f} ms"
        rows.append(
            [f"{one.letter} {one.name}", format_figure(figure.mean), format_interval(figure), p, time_]
        )
    echo_table(["", main, "95 %", "", "median"], rows, right=(1, 4))
    for sentence in summary(report):
        echo_wrapped(sentence)
    if output is not None:
        echo(f"written: {output}")
