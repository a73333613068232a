"""`stlib rollback`: what answered before answers again."""

from __future__ import annotations

import click

from app.cli.options import location_options
from app.cli.promote import say_promoted
from app.settings import Location

__all__ = ["command"]


@click.command("rollback")
@click.argument("name")
@location_options
def command(name: str, location: Location) -> None:
    """Go back to what answered in collection NAME before the present serving became live."""
    from app.facade.caller import local_caller
    from app.facade.gate import rollback

    say_promoted(name, rollback(local_caller("cli"), location, name))
