"""`stlib compact`: free space back to the disk."""

from __future__ import annotations

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json
from app.settings import Location
from app.wording import format_bytes

__all__ = ["command"]


@click.command("compact")
@click.argument("name")
@location_options
@json_option
def command(name: str, location: Location, as_json: bool) -> None:
    """Forget what was deleted from collection NAME, and give its space back to the disk.

    It happens by itself after many deletions; this does it now.
    """
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        report = collection.compact()
    if as_json:
        echo_json({"collection": name, **vars(report)})
        return
    echo(f"{name}: {format_bytes(report.bytes_before)} before, {format_bytes(report.bytes_after)} now")
