"""Adding files and folders to a collection. Resumed, it finds by their hash what it has stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.indexing_job import IndexChoices, index_paths
from app.settings import Location
from indexing import AddReport
from indexing.documents import ReadReport, read_paths
from indexing.storage.paths import check_name

if TYPE_CHECKING:
    from app.jobs.worker import Report

__all__ = ["describe", "run"]


def describe(name: str, paths: Sequence[Path], choices: IndexChoices) -> dict[str, Any]:
    """The arguments of a job, from what a person gave.

    Raises:
        BadInput: a path is missing, or the name cannot be one.
    """
    check_name(name)
    read_paths(paths)
    given = choices.given()
    if "model" in given and Path(given["model"]).exists():
        given["model"] = str(Path(given["model"]).absolute())
    return {"collection": name, "paths": [str(path.absolute()) for path in paths], "choices": given}


def run(location: Location, arguments: dict[str, Any], report: Report) -> dict[str, Any]:
    """How many documents there will be is estimated by the share of the bytes that was read."""

    def progress(added: AddReport, read: ReadReport) -> None:
        share = read.bytes_read / read.bytes_total if read.bytes_total else 0.0
        report(added.committed, round(added.committed / share) if share else None, "documents")

    name, paths = arguments["collection"], [Path(path) for path in arguments["paths"]]
    choices = IndexChoices(**arguments["choices"])
    return index_paths(location, name, paths, choices, progress).to_dict()
