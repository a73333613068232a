"""`stlib backup`: collections in one file, while others go on writing."""

from __future__ import annotations

from pathlib import Path

import click

from app.cli.bytes_done import BytesBar
from app.cli.failures import FAILED
from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, warn
from app.settings import Location
from app.wording import format_bytes, format_count, format_duration

__all__ = ["command"]


@click.command("backup")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--all", "everything", is_flag=True, help="Every collection.")
@click.option("--no-uploads", is_flag=True, help="Leave out files that visitors of the page brought.")
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    names: tuple[str, ...],
    target: Path,
    everything: bool,
    no_uploads: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Write collections NAME to the new file TARGET, each as it is at one moment; others add and search
    meanwhile.

    It holds documents, vectors, servings, what was asked and said, models that were tuned, and uploads, each
    with a checksum, in one file that `stlib restore` reads (and `tar` lists). It is as secret as they are.
    Indexes are made anew from it; jobs and reports are left out.
    """
    from app.facade.backups import back_up
    from app.facade.caller import local_caller

    if bool(names) == everything:
        raise click.UsageError("name the collections to back up, or give --all")
    with BytesBar() as bar:
        report = back_up(
            local_caller("cli"),
            location,
            target,
            None if everything else names,
            uploads=not no_uploads,
            progress=bar.show,
        )
    if as_json:
        echo_json(report.to_dict())
    else:
        for name, documents in report.documents.items():
            echo(f"{name}: {format_count(documents, 'document')}")
        echo(f"{report.path}: {format_bytes(report.bytes)} in {format_duration(report.seconds)}")
    for name, reason in report.damaged.items():
        warn(f"stlib: {name} is not in it: {reason}")
    if report.damaged:
        context.exit(FAILED)
