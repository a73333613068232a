"""Adding files and folders to a collection. Resumed, it finds by their hash what it has stored."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.indexing_job import IndexChoices, IndexSummary, Progress, SyncChoices, index_paths
from app.loading_job import LoadChoices, absolute_address, load_sources, planned_at, say_bad
from app.settings import Location, absolute_model
from indexing import AddReport
from indexing.bulk.report import LoadReport
from indexing.documents import ReadReport
from indexing.documents.options import ReadOptions
from indexing.documents.walk import check_paths
from indexing.errors import StorageError
from indexing.storage.paths import check_name

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "describe_load", "log_skips", "run", "share_of_bytes"]

logger = logging.getLogger(__name__)

_LOGGED_SKIPS = 100  # the tail of a job's log has room for them; its result counts all


def describe(
    name: str,
    paths: Sequence[Path],
    choices: IndexChoices,
    within: Sequence[Path] | None = None,
    how: SyncChoices | None = None,
) -> dict[str, Any]:
    """The arguments of a job, from what a person gave. `within` are the folders that bound what is read.

    Raises:
        BadInput: a path is missing, or the name cannot be one.
    """
    check_name(name)
    check_paths(paths)
    given = _absolute_choices(choices)
    arguments = {"collection": name, "paths": [str(path.absolute()) for path in paths], "choices": given}
    if how is not None:
        arguments["how"] = how.to_json()
    return arguments if within is None else {**arguments, "within": [str(root.absolute()) for root in within]}


def describe_load(
    name: str,
    addresses: Sequence[str],
    choices: IndexChoices,
    load: LoadChoices,
    options: ReadOptions | None = None,
) -> dict[str, Any]:
    """The arguments of a job that brings in sources by a plan, by Ray too.

    Raises:
        BadInput: a path is missing, or an address or the name cannot be one.
    """
    check_name(name)
    named = [absolute_address(one) for one in addresses]
    check_paths([Path(one) for one in named if Path(one).is_absolute()])
    told = {**load.to_json(), "addresses": named}
    if options is not None:
        told["options"] = options.to_json()
    return {"collection": name, "choices": _absolute_choices(choices), "load": told}


def _absolute_choices(choices: IndexChoices) -> dict[str, Any]:
    given = choices.given()
    for option in ("model", "sparse", "tokens"):
        if option in given:
            given[option] = absolute_model(given[option])
    return given


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    if "load" in arguments:
        return _run_load(location, arguments, report)
    name, paths = arguments["collection"], [Path(path) for path in arguments["paths"]]
    choices = IndexChoices(**arguments["choices"])
    within = None if arguments.get("within") is None else [Path(root) for root in arguments["within"]]
    how = SyncChoices.from_json(arguments.get("how") or {})
    summary = index_paths(location, name, paths, choices, share_of_bytes(report), within, how)
    log_skips(summary)
    if summary.created and not summary.info.documents:
        logger.warning("nothing could be indexed; collection %r was not made", name)
    return summary.to_dict()


def _run_load(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    told, name = arguments["load"], arguments["collection"]
    load = LoadChoices.from_json(told)
    options = None if told.get("options") is None else ReadOptions.from_json(told["options"])
    if load.restart and not report.is_first:  # resumed, it goes on with the plan it made, if it came so far
        planned = planned_at(location, name, told["addresses"], options)
        load = replace(load, restart=planned is None or planned < int(report.created))
    choices = IndexChoices(**arguments["choices"])
    summary = load_sources(location, name, told["addresses"], choices, load, options, _share_of_parts(report))
    log_skips(summary)
    for shard in summary.load.bad[:_LOGGED_SKIPS]:
        logger.warning("could not be read: %s", say_bad(shard))
    if summary.created and not summary.info.documents:
        logger.warning("nothing could be indexed; collection %r was not made", name)
    if summary.load.bad_count:
        parts = f"{summary.load.bad_count:,} of {summary.load.shards:,} parts of the source"
        raise StorageError(
            f"{parts} could not be read, the first: {say_bad(summary.load.bad[0])}. All else is stored;"
            " resume tries these again"
        )
    return summary.to_dict()


def _share_of_parts(report: Report) -> Callable[[LoadReport], None]:
    """Reports how far a load is: its parts are of about the same size."""
    said = False

    def progress(load: LoadReport) -> None:
        nonlocal said
        added = load.added
        if load.resumed and not said:
            logger.info("goes on: %s of %s parts are stored", f"{load.done:,}", f"{load.shards:,}")
        said = True
        share = load.done / load.shards if load.shards else 0.0
        report(added.committed, round(added.committed / share) if share else None, "documents")

    return progress


def share_of_bytes(report: Report) -> Progress:
    """Reports how far it is: how many documents there will be is estimated by the share that was read."""

    def progress(added: AddReport, read: ReadReport) -> None:
        share = read.bytes_read / read.bytes_total if read.bytes_total else 0.0
        report(added.committed, round(added.committed / share) if share else None, "documents")

    return progress


def log_skips(summary: IndexSummary) -> None:
    """The first of what was skipped, and why nothing was removed."""
    for skip in summary.added.skips[:_LOGGED_SKIPS]:
        logger.warning("skipped %s", skip)
    for reason in summary.sync.refused:
        logger.warning("%s", reason)
