"""`stlib trial`: a candidate that answers beside the live serving, and what people click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_rows, echo_wrapped, style
from app.settings import Location
from app.wording import format_count

if TYPE_CHECKING:
    from app.tuning.trial.report import TrialReport

__all__ = ["command"]


@click.command("trial")
@click.argument("name")
@click.option("--end", is_flag=True, help="Stop it now; what is live answers alone again.")
@location_options
@json_option
def command(name: str, end: bool, location: Location, as_json: bool) -> None:
    """Show the trial of collection NAME, which `stlib promote NAME ID --trial` began.

    One that is decided, or has reached its bound, is ended by this: what people prefer is live then.
    """
    from app.facade.caller import local_caller
    from app.facade.gate import end_trial, settle_trial

    caller = local_caller("cli")
    report = end_trial(caller, location, name) if end else settle_trial(caller, location, name)
    if as_json:
        echo_json({"collection": name, "trial": None if report is None else report.to_dict()})
    elif report is None:
        echo(f"nothing was ever tried in {name!r}: `stlib promote {name} ID --trial` begins")
    else:
        _print_report(report)


def _print_report(report: TrialReport) -> None:
    echo(style(f"serving {report.candidate} beside {report.live}", bold=True))
    for sentence in (*report.sentences, report.note):
        if sentence:
            echo_wrapped(sentence)
    counted = f"{report.wins} for the candidate, {report.losses} for what is live, {report.ties} for neither"
    rows = [
        ("votes", counted),
        ("from", f"{format_count(report.searches, 'search')}, {format_count(report.clicks, 'click')}"),
        ("people", str(report.people)),
        ("to come", format_count(report.going_on, "visit") if report.going_on else ""),
        ("outcome", report.outcome or ""),
    ]
    echo_rows([(label, value) for label, value in rows if value])
