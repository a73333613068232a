"""`stlib sync`: what changed in the folders of a collection."""

from __future__ import annotations

import click

from app.cli.failures import FAILED
from app.cli.jobs import start_in_background
from app.cli.options import background_option, json_option, location_options
from app.cli.reading import print_problems, print_summary, prune_options, with_progress
from app.cli.terminal import confirm, echo_json, warn
from app.settings import Location

__all__ = ["command", "confirm_sources"]


@click.command("sync")
@click.argument("name")
@prune_options
@click.option("--yes", is_flag=True, help="Read folders that were named on another machine without asking.")
@background_option
@location_options
@json_option
@click.pass_context
def command(
    context: click.Context,
    name: str,
    prune: bool,
    force: bool,
    reread: bool,
    yes: bool,
    background: bool,
    location: Location,
    as_json: bool,
) -> None:
    """Bring collection NAME in step with the folders and files that it was read from.

    Files that have not changed are not opened. A renamed file keeps its documents and what was said of them.
    What is gone from its files is counted, and removed with --prune.
    """
    from app.indexing_job import SyncChoices, sync_sources

    confirm_sources(location, name, yes)
    how = SyncChoices(None, prune, force, reread)
    if background:
        from app.jobs.kinds.sync import describe

        start_in_background(location, "sync", describe(name, how), as_json)
        return
    summary = with_progress(lambda progress: sync_sources(location, name, progress, how=how))
    if as_json:
        echo_json(summary.to_dict())
    else:
        print_summary(summary)
    print_problems(summary)
    if not summary.complete:
        context.exit(FAILED)


def confirm_sources(location: Location, name: str, yes: bool) -> None:
    """Asks about folders that nobody named on this machine: the collection came from another one.

    Raises:
        BadInput: the collection was read from no folder.
        Abort: the answer is no.
    """
    from indexing import Collection
    from indexing.errors import BadInput

    with Collection.open(name, **location.arguments()) as collection:
        sources = collection.sources()
        if not sources:
            raise BadInput(
                f"collection {name!r} was read from no folder: name one with `stlib index {name} PATH`"
            )
        strange = [source.root for source in sources if not source.confirmed]
        if not strange:
            return
        if not yes:
            warn("This collection came from another machine. It names these folders of this one:")
            for root in strange:
                warn(f"  {root}")
            confirm("Read them?")
        collection.confirm_sources()
