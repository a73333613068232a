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
@location_options
@json_option
@click.pass_context
def command(context: click.Context, name: str, location: Location, as_json: bool) -> None:
    """Check collection NAME: the catalog against itself, the views against the catalog.

    Damaged views are rebuilt. A damaged catalog is reported, and the exit code is 1.
    """
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
