"""`stlib drop-generation`: the space of vectors that nobody goes back to."""

from __future__ import annotations

import sys

import click

from app.cli.options import location_options
from app.cli.terminal import confirm, echo
from app.settings import Location
from app.wording import format_count

__all__ = ["command"]


@click.command("drop-generation")
@click.argument("name")
@click.argument("generation", metavar="ID", type=int)
@click.option("--yes", is_flag=True, help="Do not ask.")
@location_options
def command(name: str, generation: int, yes: bool, location: Location) -> None:
    """Delete generation ID of collection NAME, with its servings. Documents stay, and what is live stays.

    `stlib history NAME` says which serving stands on which generation.
    """
    from indexing import Collection

    if not yes and not sys.stdin.isatty():
        raise click.UsageError("dropping a generation needs --yes, or a terminal to ask in")
    with Collection.open(name, **location.arguments()) as collection:
        if not yes:
            lost = [str(one.id) for one in collection.servings() if one.generation == generation]
            what = f" with serving {', '.join(lost)}" if lost else ""
            confirm(f"Drop generation {generation} of {name!r}{what}?")
        dropped = collection.drop_generation(generation)
    echo(f"dropped generation {generation} of {name!r}, which had {format_count(dropped, 'passage')}")
