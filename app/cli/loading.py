"""What `stlib index` has for sources that are large, or lie elsewhere: options, the run with a bar."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from app.cli.failures import Interrupted
from app.cli.progress import ProgressBar
from app.cli.terminal import warn
from app.settings import Location
from app.wording import format_count
from indexing.errors import BadInput

if TYPE_CHECKING:
    from app.indexing_job import IndexChoices, SyncChoices
    from app.loading_job import LoadChoices, LoadSummary
    from indexing.bulk.report import LoadReport
    from indexing.documents.options import ReadOptions

__all__ = ["load_of_addresses", "load_options", "load_with_progress", "print_bad", "refuse_pruning"]

_SHOWN = 20


def load_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --ray, --workers and --restart; the command gets `load`, or None where none is given."""
    options = [
        click.option(
            "--ray",
            metavar="ADDRESS",
            help="Embed by the workers of a Ray cluster that runs (HOST:6379, or auto), or that is started on"
            " this machine for as long as it takes (local).",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            metavar="N",
            help="With --ray: processes that embed. Default: as many as there are cores.",
        ),
        click.option(
            "--restart",
            is_flag=True,
            help="Throw away the plan of a load that was stopped; what it stored stays, and is read again but"
            " not embedded. A large file of a folder that was begun is then read twice.",
        ),
    ]

    @functools.wraps(function)
    def with_load(*args: Any, ray: str | None, workers: int | None, restart: bool, **kwargs: Any) -> Any:
        if workers is not None and ray is None:
            raise click.UsageError("--workers is of a load by Ray: give --ray local, or --ray ADDRESS")
        load = None
        if ray is not None or restart:
            from app.loading_job import LoadChoices

            load = LoadChoices(ray, workers, restart)
        return function(*args, load=load, **kwargs)

    wrapped: Callable[..., Any] = with_load
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def load_of_addresses(paths: Sequence[str]) -> LoadChoices | None:
    """How sources are brought in of which one lies elsewhere; None where all lie on this machine."""
    if not any("://" in path or "::" in path for path in paths):
        return None
    from app.loading_job import LoadChoices, is_address

    elsewhere = sum(is_address(path) for path in paths)  # each is looked at, as it may be a wrong one
    return LoadChoices() if elsewhere else None


def path_here(text: str) -> Path:
    """A source on this machine as a path, `file:///docs` too."""
    if "://" not in text:
        return Path(text)
    from app.loading_job import absolute_address

    return Path(absolute_address(text))


def refuse_pruning(how: SyncChoices) -> None:
    """
    Raises:
        BadInput: something is asked for that a load does not do.
    """
    if how.prune or how.force or how.all_files:
        raise BadInput(
            "--prune, --force and --reread are for folders of this machine without --ray: give them to"
            " `stlib sync` afterwards"
        )


def load_with_progress(
    location: Location,
    name: str,
    paths: Sequence[str],
    choices: IndexChoices,
    load: LoadChoices,
    options: ReadOptions | None,
) -> LoadSummary:
    """Load with a progress bar on stderr.

    Raises:
        Interrupted: Ctrl-C; the message says how to go on.
    """
    from app.loading_job import absolute_address, load_sources

    logging.getLogger("indexing.documents").setLevel(logging.ERROR)  # the summary tells it once
    with ProgressBar() as bar:
        show = _Shown(bar, load)
        try:
            addresses = [absolute_address(path) for path in paths]
            summary = load_sources(location, name, addresses, choices, load, options, show)
        except KeyboardInterrupt:
            raise Interrupted(
                f"stopped; {format_count(bar.committed, 'document')} stay committed: run it again to go on"
            ) from None
    print_bad(summary)
    return summary


class _Shown:
    """Shows how far a load is: of all of its starts, at the speed of this one."""

    def __init__(self, bar: ProgressBar, load: LoadChoices) -> None:
        self._bar = bar
        self._workers = load.workers
        self._began: float | None = None
        self._before = 0

    def __call__(self, report: LoadReport) -> None:
        now = time.monotonic()
        if self._began is None:
            self._began, self._before = now, report.added.chunks
            if report.resumed:
                stored = format_count(report.added.committed, "document")
                warn(
                    f"stlib: goes on with the load that was begun: {stored} and {report.done:,} of"
                    f" {report.shards:,} parts are stored"
                )
        elif not report.added.received:
            self._began = now  # it is planned
        passed = now - self._began
        rate = (report.added.chunks - self._before) / passed if passed else 0.0
        workers = "" if self._workers is None else f", {format_count(self._workers, 'worker')}"
        self._bar.show(
            report.done / report.shards if report.shards else 0.0,
            report.added.committed,
            f"{format_count(report.added.chunks, 'passage')} at {rate:,.0f}/s,"
            f" {report.done:,} of {format_count(report.shards, 'part')}{workers}",
        )


def print_bad(summary: LoadSummary) -> None:
    """One line on stderr for each part of the source that could not be read."""
    from app.loading_job import say_bad

    load = summary.load
    for shard in load.bad[:_SHOWN]:
        warn(f"stlib: could not be read: {say_bad(shard)}")
    if load.bad_count > _SHOWN:
        warn(f"stlib: {load.bad_count - _SHOWN:,} more parts could not be read (--json lists some)")
    if load.bad_count:
        warn("stlib: everything else is stored; run it again to try these parts again")
