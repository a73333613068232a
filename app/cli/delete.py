"""`stlib delete`: documents, or a whole collection."""

from __future__ import annotations

import sys

import click

from app.cli.failures import FAILED
from app.cli.options import location_options
from app.cli.terminal import confirm, echo, warn
from app.settings import Location
from app.wording import format_count

__all__ = ["command"]


@click.command("delete")
@click.argument("name")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--yes", is_flag=True, help="Delete a whole collection without asking.")
@location_options
@click.pass_context
def command(context: click.Context, name: str, ids: tuple[str, ...], yes: bool, location: Location) -> None:
    """Delete documents by ID from collection NAME, or with no ID the whole collection."""
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        if not ids:
            count = collection.info().documents
            _confirm(f"Delete collection {name!r} with its {format_count(count, 'document')}?", yes)
            collection.drop()
            echo(f"deleted collection {name!r} with {format_count(count, 'document')}")
            return
        gone = collection.delete(ids)
    echo(f"deleted {format_count(len(gone), 'document')} from {name!r}")
    missing = [id_ for id_ in dict.fromkeys(ids) if id_ not in set(gone)]
    for id_ in missing:
        warn(f"stlib: no document {id_!r} in {name!r}")
    if missing:
        context.exit(FAILED)


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("deleting a whole collection needs --yes, or a terminal to ask in")
    confirm(question)
