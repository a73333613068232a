"""`stlib replay`: a search again, and what changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_wrapped
from app.settings import Location
from app.wording import format_count

if TYPE_CHECKING:
    from app.feedback.replaying import Difference

__all__ = ["CHANGED", "command"]

CHANGED = 3
"""Exit code of another answer; 1 is a failure and 2 a wrong call, as everywhere."""


@click.command("replay")
@click.argument("impression")
@location_options
@json_option
@click.pass_context
def command(context: click.Context, impression: str, location: Location, as_json: bool) -> None:
    """Ask again what IMPRESSION asked (the id of an answer, or its beginning), of what answered then.

    Says "the same answer" with exit code 0, or what changed since and which documents stand elsewhere, with
    exit code 3.
    """
    from app.facade.caller import local_caller
    from app.facade.feedback import replay

    found = replay(local_caller("cli"), location, impression)
    if as_json:
        echo_json(found.to_dict())
    else:
        asked = found.impression
        echo_wrapped(f"{asked.query} ({found.collection}, {asked.mode})", bold=asked.query)
        count = format_count(len(found.shown), "document")
        if found.same:
            scores = "" if found.same_scores else ", with other scores"
            echo(f"the same answer{scores}: {count} in the same order")
        else:
            echo(f"another answer: {format_count(len(found.differences), 'document')} elsewhere")
        for reason in found.reasons:
            echo_wrapped(f"since then: {reason}", indent="  ")
        for difference in found.differences:
            echo_wrapped(_describe(difference), indent="  ")
    if not found.same:
        context.exit(CHANGED)


def _describe(one: Difference) -> str:
    then, now = (f"{rank}" if rank is not None else "–" for rank in (one.rank_then, one.rank_now))
    return f"{then} → {now} {one.document}" + (f" ({one.why} since)" if one.why else "")
