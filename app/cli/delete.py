"""`stlib delete`: documents by id or by filter, or a whole collection."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from app.cli.dashes import DashedCommand
from app.cli.failures import FAILED
from app.cli.filters import filter_option, point_at_errors
from app.cli.options import location_options
from app.cli.terminal import confirm, echo, warn
from app.settings import Location
from app.wording import format_count

if TYPE_CHECKING:
    from indexing import Collection

__all__ = ["FEW", "command", "confirm_many"]

# A filter that matches more is a mistake more often than one that matches a few.
FEW = 100


@click.command("delete", cls=DashedCommand)
@click.argument("name")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@filter_option
@click.option(
    "--yes", is_flag=True, help=f"Do not ask: for a whole collection, and filters of more than {FEW}."
)
@location_options
@click.pass_context
def command(
    context: click.Context,
    name: str,
    ids: tuple[str, ...],
    filter_: str | None,
    yes: bool,
    location: Location,
) -> None:
    """Delete documents by ID or --filter from collection NAME, or with neither the whole collection."""
    if ids and filter_ is not None:
        raise click.UsageError("give ids or --filter, not both", context)
    if filter_ is not None and not filter_.strip():
        raise click.UsageError("the filter is empty, and would match every document", context)
    from app.facade.feedback import forget_feedback
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        if filter_ is not None:
            with point_at_errors(context, filter_):
                _delete_matching(collection, filter_, yes)
        elif ids:
            _delete_by_id(context, collection, ids)
        else:
            count = len(collection)
            question = f"Delete collection {name!r} with its {format_count(count, 'document')}?"
            _confirm(question, "deleting a whole collection", yes)
            collection.drop()
            left = forget_feedback(location, collection.uuid)
            echo(f"deleted collection {name!r} with {format_count(count, 'document')}")
            if left:
                warn(f"stlib: {left}")


def _delete_matching(collection: Collection, filter_: str, yes: bool) -> None:
    every = confirm_many(collection, filter_, yes, "Delete", "deleting")
    gone = collection.delete(filter=filter_)
    echo(f"deleted {format_count(len(gone), 'document')} of {every:,} from {collection.name!r}")


def confirm_many(collection: Collection, filter_: str, yes: bool, do: str, doing: str) -> int:
    """Asks where a filter matches many documents, or all; returns how many there are at all."""
    count, every = collection.count(filter_), len(collection)
    if count > FEW or (count > 1 and count == every):
        what = f"{count:,} of {format_count(every, 'document')}"
        _confirm(f"{do} {what} in {collection.name!r}?", f"{doing} {what}", yes)
    return every


def _delete_by_id(context: click.Context, collection: Collection, ids: tuple[str, ...]) -> None:
    gone = collection.delete(ids)
    echo(f"deleted {format_count(len(gone), 'document')} from {collection.name!r}")
    missing = [id_ for id_ in dict.fromkeys(ids) if id_ not in set(gone)]
    for id_ in missing:
        warn(f"stlib: no document {id_!r} in {collection.name!r}")
    if missing:
        context.exit(FAILED)


def _confirm(question: str, what: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what} needs --yes, or a terminal to ask in")
    confirm(question)
