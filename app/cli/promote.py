"""`stlib promote`: another serving answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.options import location_options
from app.cli.terminal import echo
from app.settings import Location

if TYPE_CHECKING:
    from indexing.serving.promote import Promoted

__all__ = ["command", "say_promoted"]


@click.command("promote")
@click.argument("name")
@click.argument("serving", metavar="ID", type=int)
@click.option("--override", metavar="REASON", help="Why, if the figures say otherwise; the history keeps it.")
@location_options
def command(name: str, serving: int, override: str | None, location: Location) -> None:
    """Let serving ID answer in collection NAME: `stlib history NAME` shows what there is."""
    from app.facade.who import login_name
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        say_promoted(name, collection.promote(serving, override, who=login_name()))
    echo(f"go back with `stlib rollback {name}`")


def say_promoted(name: str, promoted: Promoted) -> None:
    """Which serving is live, and which was."""
    echo(f"serving {promoted.serving.id} of {name!r} is live; before it was {promoted.before.id}")
