"""`stlib keys`: keys of programs that use the service."""

from __future__ import annotations

import math

import click

from app.cli.options import json_option, location_options
from app.cli.terminal import echo, echo_json, echo_table, warn
from app.settings import Location

__all__ = ["command"]

_SCOPES = ("read", "write", "admin")


def _number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity, which float takes."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number of days", context, parameter)
    return value


@click.group("keys")
def command() -> None:
    """Make, show and revoke keys of programs that use `stlib serve` and `stlib mcp`."""


@command.command("make")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(_SCOPES),
    default="read",
    show_default=True,
    help="read: search. write: documents and feedback too. admin: everything.",
)
@click.option(
    "--collection",
    "collections",
    multiple=True,
    metavar="NAME",
    help="A collection that it is for; may be given several times. Default: all.",
)
@click.option(
    "--days", type=float, callback=lambda *given: _number(*given), help="Ends after so many. Default: never."
)
@json_option
@location_options
def make(
    location: Location, name: str, scope: str, collections: tuple[str, ...], days: float | None, as_json: bool
) -> None:
    """Make a key for NAME, whoever or whatever will use it, and print it. It is shown this once."""
    from app.facade.caller import local_caller
    from app.facade.keys import make_key

    key, secret = make_key(
        local_caller("cli"), location, name, scope=scope, collections=collections or None, days=days
    )
    if as_json:
        echo_json({**key.to_dict(), "key": secret})
        return
    echo(secret)
    warn(f"stlib: key {key.id} for {name!r} is shown this once; send it as `Authorization: Bearer KEY`")


@command.command("list")
@json_option
@location_options
def list_all(location: Location, as_json: bool) -> None:
    """Show the keys there are, never what they open with."""
    from app.facade.caller import local_caller
    from app.facade.keys import list_keys

    keys = list_keys(local_caller("cli"), location)
    if as_json:
        echo_json({"keys": [key.to_dict() for key in keys]})
        return
    if not keys:
        echo("no keys yet: `stlib keys make NAME` makes one")
        return
    rows = []
    for key in keys:
        said = key.to_dict()
        names = "all" if key.collections is None else ", ".join(key.collections)
        rows.append([key.id, key.name, key.scope, names, (said["expires"] or "never")[:10], said["state"]])
    echo_table(["id", "name", "scope", "collections", "expires", "state"], rows)


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@location_options
def revoke(location: Location, key_id: str) -> None:
    """Make the key with this ID open nothing any more; services that run notice within two seconds."""
    from app.facade.caller import local_caller
    from app.facade.keys import revoke_key

    revoke_key(local_caller("cli"), location, key_id)
    echo(f"key {key_id} is revoked")
