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
@click.option("--trial", is_flag=True, help="Let it answer beside the live one until clicks decide.")
@location_options
@click.pass_context
def command(
    context: click.Context, name: str, serving: int, override: str | None, trial: bool, location: Location
) -> None:
    """Let serving ID answer in collection NAME: `stlib history NAME` shows what there is.

    One that was learned needs the gate, or --override with a reason. With --trial its answers and those of
    the live one are mixed, and clicks are counted: `stlib trial NAME` shows how it stands, and ends it when
    it is decided.
    """
    from app.facade.caller import local_caller
    from app.facade.gate import promote, start_trial

    if trial and override is not None:
        raise click.UsageError(
            "--trial and --override contradict each other: a trial needs no reason", context
        )
    if trial:
        report = start_trial(local_caller("cli"), location, name, serving)
        echo(f"serving {serving} of {name!r} answers beside serving {report.live} from now on")
        echo(f"see how it stands with `stlib trial {name}`")
        return
    say_promoted(name, promote(local_caller("cli"), location, name, serving, override))
    echo(f"go back with `stlib rollback {name}`")


def say_promoted(name: str, promoted: Promoted) -> None:
    """Which serving is live, and which was."""
    echo(f"serving {promoted.serving.id} of {name!r} is live; before it was {promoted.before.id}")
