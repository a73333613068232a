"""Bringing a collection in step with its sources. Resumed, it reads what was not read to its end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.indexing_job import SyncChoices, sync_sources
from app.jobs.kinds.index import log_skips, share_of_bytes
from app.settings import Location
from indexing.storage.paths import check_name

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "run"]


def describe(name: str, how: SyncChoices, within: Sequence[Path] | None = None) -> dict[str, Any]:
    """The arguments of a job. `within` are the folders that bound what is read.

    Raises:
        BadInput: the name cannot be one.
    """
    check_name(name)
    arguments: dict[str, Any] = {"collection": name, "how": how.to_json()}
    return arguments if within is None else {**arguments, "within": [str(root.absolute()) for root in within]}


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    within = None if arguments.get("within") is None else [Path(root) for root in arguments["within"]]
    how = SyncChoices.from_json(arguments.get("how") or {})
    summary = sync_sources(location, arguments["collection"], share_of_bytes(report), within, how)
    log_skips(summary)
    return summary.to_dict()
