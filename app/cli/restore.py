"""`stlib restore`: collections of a backup again."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from app.cli.bytes_done import BytesBar
from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json
from app.settings import Location
from app.wording import format_bytes, format_count, format_duration

__all__ = ["command"]

_SHOWN = 20  # ids of a line to copy


@click.command("restore")
@click.argument("backup", type=click.Path(path_type=Path))
@click.argument("name", required=False)
@click.option("--as", "as_name", metavar="NAME", help="Restore it under another name.")
@click.option("--replace", is_flag=True, help="Take the place of a collection that has the name.")
@location_options
@json_option
def command(
    backup: Path, name: str | None, as_name: str | None, replace: bool, location: Location, as_json: bool
) -> None:
    """Make the collections of the file BACKUP again, or NAME alone.

    Its checksums are compared first; each collection is restored whole or not at all, and none that is there
    is touched without --replace. A backup from elsewhere is a stranger's: models that came with it are used
    once you give them by --model, and folders that it names are read once you confirm them.
    """
    from app.facade.backups import restore
    from app.facade.caller import local_caller

    with BytesBar() as bar:
        report = restore(
            local_caller("cli"),
            location,
            backup,
            name,
            as_name=as_name,
            replace=replace,
            progress=bar.show,
        )
    if as_json:
        echo_json(report.to_dict())
        return
    for one, documents in report.documents.items():
        gone = ", in place of what was there" if one in report.replaced else ""
        echo(f"{one}: {format_count(documents, 'document')}{gone}")
    for one, back in report.back.items():
        count = format_count(len(back), "document")
        echo(f"{one}: {count} had been erased since, and came back; erase again:")
        echo(f"  stlib erase {shlex.join([one, *back[:_SHOWN]])}")
        if len(back) > _SHOWN:
            echo(f"  and {len(back) - _SHOWN} more: `stlib restore --json` names all")
    for folder in report.models:
        echo(f"model: {folder}")
    echo(
        f"restored {format_bytes(report.bytes)} in {format_duration(report.seconds)};"
        " the first search makes the indexes"
    )
