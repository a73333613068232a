"""Checking a collection. Views that are damaged are made anew; a job that is resumed begins again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from app.settings import Location
from indexing import Collection
from indexing.storage.paths import check_name

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "run"]

logger = logging.getLogger(__name__)


def describe(name: str) -> dict[str, Any]:
    """The arguments of a job.

    Raises:
        BadInput: the name cannot be one.
    """
    return {"collection": check_name(name)}


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """A job that found damage is done all the same: its result says what was found."""
    name = arguments["collection"]
    report.check()
    with Collection.open(name, **location.arguments()) as collection:
        found = collection.verify()
    report(found.documents, found.documents, "documents")
    for repaired in found.repaired:
        logger.warning("rebuilt: %s", repaired)
    for error in found.errors:
        logger.error("%s", error)
    return {"collection": name, **found.to_dict()}
