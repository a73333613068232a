"""`stlib watch`: a collection that follows its folders as they change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.cli.options import location_options
from app.cli.reading import print_problems, prune_options, with_progress
from app.cli.sync import confirm_sources
from app.cli.terminal import echo, warn
from app.settings import Location
from app.wording import format_count

if TYPE_CHECKING:
    from app.indexing_job import SyncChoices

__all__ = ["command"]

_QUIET_MS = 300  # a program that saves a file writes it in several steps
_LONGEST_MS = 2_000
_WAIT_MS = 1_000


@click.command("watch")
@click.argument("name")
@prune_options
@click.option("--yes", is_flag=True, help="Read folders that were named on another machine without asking.")
@location_options
def command(name: str, prune: bool, force: bool, reread: bool, yes: bool, location: Location) -> None:
    """Bring collection NAME in step with its folders, and keep it so until Ctrl-C.

    Files that are removed stay in the collection without --prune.
    """
    from app.indexing_job import SyncChoices

    confirm_sources(location, name, yes)
    if not _run(location, name, SyncChoices(None, prune, force, reread)):
        raise click.ClickException(
            f"collection {name!r} is being written by another process: try again later"
        )
    roots = watched_roots(location, name)
    echo(f"{name}: watching {', '.join(map(str, roots))}; Ctrl-C ends it")
    how = SyncChoices(None, prune, force)
    waits = False  # changes that another process's run kept from being read
    try:
        for changed in changes_of(roots, away_from(location, name)):
            if changed or waits:
                waits = not _run(location, name, how)
    except KeyboardInterrupt:
        return


def watched_roots(location: Location, name: str) -> list[Path]:
    """Folders of the sources that are there.

    Raises:
        ClickException: none is.
    """
    from indexing import Collection
    from indexing.documents.walk import real_name

    with Collection.open(name, **location.arguments()) as collection:
        roots = [Path(real_name(source.root)) for source in collection.sources()]
    there = [root for root in roots if root.is_dir()]
    if not there:
        raise click.ClickException(f"no folder of collection {name!r} is there: {', '.join(map(str, roots))}")
    return there


def away_from(location: Location, name: str) -> Callable[[object, str], bool]:
    """A filter of changes: none of the collection's own files, which each run writes, and nothing hidden."""
    from indexing import Collection

    with Collection.open(name, **location.arguments()) as collection:
        own = os.path.realpath(collection.folder)

    def counts(change: object, path: str) -> bool:
        file = Path(path).name
        return not (Path(path).is_relative_to(own) or file.startswith(".") or ".sqlite" in file)

    return counts


def changes_of(roots: list[Path], counts: Callable[[object, str], bool]) -> Iterator[bool]:
    """True for each group of changes, and once when the watch has begun: what changed before was not seen.
    False while nothing changes, each second.
    """
    from watchfiles import watch

    begun = False
    for changes in watch(
        *roots,
        watch_filter=counts,
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        rust_timeout=_WAIT_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    ):
        yield bool(changes) or not begun
        begun = True


def _run(location: Location, name: str, how: SyncChoices) -> bool:
    """One run; False if another process is writing, which is waited for some seconds."""
    from app.indexing_job import sync_sources
    from indexing.errors import LockedError

    for attempt in range(10):
        try:
            summary = with_progress(lambda progress: sync_sources(location, name, progress, how=how))
        except LockedError:
            time.sleep(0.5 * (attempt + 1))
            continue
        if summary.changed or summary.sync.vanished:
            added, sync = summary.added, summary.sync
            gone = f", {sync.pruned:,} removed" if sync.pruned else ""
            kept = sync.vanished - sync.pruned
            kept_words = f", {format_count(kept, 'document')} vanished (--prune removes them)" if kept else ""
            echo(
                f"{time.strftime('%H:%M:%S')} {name}: {added.added:,} added, {added.updated:,} updated, "
                f"{format_count(sync.files.renamed, 'file')} renamed{gone}{kept_words}"
            )
        print_problems(summary)
        return True
    warn(f"stlib: collection {name!r} is being written by another process: its changes wait")
    return False
