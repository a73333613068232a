"""Adding files and folders to a collection. Resumed, it finds by their hash what it has stored."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.indexing_job import IndexChoices, IndexSummary, Progress, SyncChoices, index_paths
from app.settings import Location, absolute_model
from indexing import AddReport
from indexing.documents import ReadReport
from indexing.documents.walk import check_paths
from indexing.storage.paths import check_name

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "log_skips", "run", "share_of_bytes"]

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
    given = choices.given()
    for option in ("model", "sparse", "tokens"):
        if option in given:
            given[option] = absolute_model(given[option])
    arguments = {"collection": name, "paths": [str(path.absolute()) for path in paths], "choices": given}
    if how is not None:
        arguments["how"] = how.to_json()
    return arguments if within is None else {**arguments, "within": [str(root.absolute()) for root in within]}


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    name, paths = arguments["collection"], [Path(path) for path in arguments["paths"]]
    choices = IndexChoices(**arguments["choices"])
    within = None if arguments.get("within") is None else [Path(root) for root in arguments["within"]]
    how = SyncChoices.from_json(arguments.get("how") or {})
    summary = index_paths(location, name, paths, choices, share_of_bytes(report), within, how)
    log_skips(summary)
    if summary.created and not summary.info.documents:
        logger.warning("nothing could be indexed; collection %r was not made", name)
    return summary.to_dict()


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
