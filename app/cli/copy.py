"""`stlib copy`: a collection to another home or database."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.bytes_done import BytesBar
from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json
from app.settings import Location
from app.wording import format_count, format_duration

__all__ = ["command"]


@click.command("copy")
@click.argument("name")
@click.option("--from", "source", metavar="PLACE", help="A home or a database URL. Default: --home or --db.")
@click.option(
    "--to", "target", metavar="PLACE", help="The home or database URL to copy to. Default: the same."
)
@click.option("--as", "as_name", metavar="NAME", help="Give the copy another name.")
@click.option("--replace", is_flag=True, help="Take the place of a collection that has the name there.")
@click.option("--no-uploads", is_flag=True, help="Leave out files that visitors of the page brought.")
@location_options
@json_option
def command(
    name: str,
    source: str | None,
    target: str | None,
    as_name: str | None,
    replace: bool,
    no_uploads: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Copy collection NAME, with its vectors, servings, history, sources, and what was asked and said of it.

    A PLACE is the folder of a home or a database URL, such as sqlite:///notes.db. The original is only read;
    the copy is compared with it row by row, and is there whole or not at all.
    """
    from app.facade.backups import copy
    from app.facade.caller import local_caller

    if target is None and as_name is None:
        raise click.UsageError("give --to PLACE, or --as NAME for a copy beside it")
    with BytesBar(unit="row") as bar:
        report = copy(
            local_caller("cli"),
            _location(source, location),
            name,
            _location(target, location),
            as_name=as_name,
            replace=replace,
            uploads=not no_uploads,
            progress=lambda done, total: bar.show(name, done, total),
        )
    if as_json:
        echo_json(report.to_dict())
        return
    rows = format_count(sum(report.rows.values()), "row")
    echo(f"{report.name}: {format_count(report.documents, 'document')}, {rows} copied and compared")
    said = f"{report.said:,} searches, clicks and judgments"
    echo(f"  with it   {said}, {format_count(report.files, 'file')}")
    echo(f"  time      {format_duration(report.seconds)}; the first search makes the indexes")


def _location(place: str | None, default: Location) -> Location:
    if place is None:
        return default
    return Location(db=place) if "://" in place else Location(Path(place))
