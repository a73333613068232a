"""`stlib verify`: is everything as it should be?"""

from __future__ import annotations

import click

from app.cli.failures import FAILED
from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, warn
from app.settings import Location
from app.wording import format_count

__all__ = ["command"]


@click.command("verify")
@click.argument("name")
@click.option(
    "--erased", is_flag=True, help="Look for what was erased, in indexes, searches and judgments too."
)
@location_options
@json_option
@click.pass_context
def command(context: click.Context, name: str, erased: bool, location: Location, as_json: bool) -> None:
    """Check collection NAME: the catalog against itself, the views against the catalog.

    Damaged views are rebuilt. A damaged catalog is reported, and the exit code is 1. With --erased it is
    checked that what was erased is gone and what was pending is finished; the exit code is 1 if not all is.
    """
    if erased:
        _check_erased(context, name, location, as_json)
        return
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        report = collection.verify()
    if as_json:
        echo_json({"collection": name, **report.to_dict()})
    else:
        for repaired in report.repaired:
            echo(f"rebuilt: {repaired}")
        verdict = "damaged" if report.errors else "repaired" if report.repaired else "clean"
        checked = f"{format_count(report.documents, 'document')} in {format_count(report.chunks, 'passage')}"
        echo(f"{name}: {verdict}, {checked} checked")
    for error in report.errors:
        warn(f"stlib: {error}")
    if report.errors:
        context.exit(FAILED)


def _check_erased(context: click.Context, name: str, location: Location, as_json: bool) -> None:
    from app.facade.caller import local_caller
    from app.facade.erasure import check_erased

    report = check_erased(local_caller("cli"), location, name)
    if as_json:
        echo_json({"collection": name, **report.to_dict()})
    else:
        for repaired in report.repaired:
            echo(f"erased again: {repaired}")
        verdict = "gone" if report.clean else "still there" if report.problems else "pending"
        erasures = format_count(len(report.erasures), "erasure")
        out = format_count(report.denied, "document")
        echo(f"{name}: {verdict}, {erasures} checked, {out} kept out")
        if report.same_texts:
            others = format_count(report.same_texts, "other document")
            echo(f"{name}: note: {others} with the text of one that was erased")
    for problem in report.problems:
        warn(f"stlib: {problem}")
    for why in report.pending:
        warn(f"stlib: pending: {why}")
    if not report.clean:
        context.exit(FAILED)
