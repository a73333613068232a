"""`stlib list`: every collection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from app.cli.failures import FAILED
from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_table, warn
from app.settings import Location
from app.wording import format_bytes, format_model

if TYPE_CHECKING:
    from indexing.describe import CollectionInfo

__all__ = ["command"]


@click.command("list")
@location_options
@json_option
@click.pass_context
def command(context: click.Context, location: Location, as_json: bool) -> None:
    """Show every collection with its size."""
    infos, damaged = _describe(location)
    if as_json:
        problems = [{"name": name, "reason": reason} for name, reason in damaged.items()]
        echo_json(
            {"collections": [info.to_dict() for info in infos], **({"damaged": problems} if problems else {})}
        )
    elif infos:
        _print_table(infos)
    elif not damaged:
        echo("no collections yet: make one with `stlib index NAME PATH`")
    for name, reason in damaged.items():
        warn(f"stlib: collection {name!r} left out: {reason}")
    if damaged:
        context.exit(FAILED)


def _describe(location: Location) -> tuple[list[CollectionInfo], dict[str, str]]:
    """What each collection holds, and why of those that cannot be opened."""
    from indexing import Collection
    from indexing.errors import IndexingError, UnknownCollection
    from indexing.listing import list_collections

    listing = list_collections(**location.arguments())
    infos = []
    for name in listing.names:
        try:
            with Collection.open(name, **location.arguments()) as collection:
                infos.append(collection.info())
        except UnknownCollection:
            continue  # deleted at this moment
        except IndexingError as error:
            listing.damaged[name] = str(error)
    return infos, listing.damaged


def _print_table(infos: Sequence[CollectionInfo]) -> None:
    rows = [
        [
            info.name,
            f"{info.documents:,}",
            f"{info.chunks:,}",
            format_bytes(info.catalog_bytes + info.view_bytes),
            format_model(info.model),
            info.precision,
            info.engine,
        ]
        for info in infos
    ]
    header = ["name", "documents", "passages", "disk", "model", "precision", "engine"]
    echo_table(header, rows, right=(1, 2, 3))
