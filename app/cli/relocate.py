"""`stlib relocate`: a model that was moved."""

from __future__ import annotations

import click

from app.cli.options import location_options
from app.cli.terminal import echo
from app.settings import Location

__all__ = ["command"]


@click.command("relocate")
@click.argument("name")
@click.argument("model", metavar="PATH")
@location_options
def command(name: str, model: str, location: Location) -> None:
    """Say that a model of collection NAME lies at PATH now. Another model than it was is refused."""
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        recorded = collection.relocate_model(model)
    echo(f"{name!r} finds its model at {recorded}")
