"""`stlib sources`: the folders that a collection was read from."""

from __future__ import annotations

from dataclasses import asdict

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_table
from app.settings import Location

__all__ = ["command"]


@click.command("sources")
@click.argument("name")
@click.option("--forget", type=int, metavar="ID", help="Keep what was read from it, and read it no more.")
@location_options
@json_option
def command(name: str, forget: int | None, location: Location, as_json: bool) -> None:
    """Show the folders that collection NAME was read from."""
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        if forget is not None:
            collection.forget_source(forget)
        sources = collection.sources()
    if as_json:
        echo_json([asdict(source) for source in sources])
        return
    if not sources:
        echo(f"{name} was read from no folder")
        return
    header = ("id", "folder", "files", "documents", "read", "")
    rows = [
        (
            str(source.id),
            source.root + (" (single files)" if source.kind == "files" else ""),
            f"{source.files:,}",
            f"{source.documents:,}",
            source.synced_at or "never",
            "" if source.confirmed else "not confirmed on this machine",
        )
        for source in sources
    ]
    echo_table(header, rows, right=(0, 2, 3))
