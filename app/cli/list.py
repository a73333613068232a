"""`stlib list`: every collection."""

from __future__ import annotations

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, table
from app.settings import Location
from app.wording import format_bytes

__all__ = ["command"]


@click.command("list")
@location_options
@json_option
def command(location: Location, as_json: bool) -> None:
    """Show every collection with its size."""
    from indexing import Collection

    infos = []
    for name in Collection.list(**location.arguments()):
        with Collection.open(name, **location.arguments()) as collection:
            infos.append(collection.info())
    if as_json:
        echo_json({"collections": infos})
        return
    if not infos:
        echo("no collections yet: make one with `stlib index NAME PATH`")
        return
    rows = [
        [
            info["name"],
            f"{info['documents']:,}",
            f"{info['chunks']:,}",
            format_bytes(info["catalog_bytes"] + info["view_bytes"]),
            info["model"],
            info["precision"],
            info["engine"],
        ]
        for info in infos
    ]
    header = ["name", "documents", "passages", "disk", "model", "precision", "engine"]
    for line in table(header, rows, right=(1, 2, 3)):
        echo(line)
