"""Reports: compare ways of searching on judged questions, now or as a job; read past ones; judged sets."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from app.facade.caller import Caller, require
from app.facade.jobs import Job, list_jobs, start_job
from app.facade.telling import tell_job
from app.jobs.kinds import report as job
from app.report.history import Past, keep_report, list_reports, load_report
from app.report.judged_sets import JudgedFolder, keep_judged_set, list_judged_sets, remove_judged_set
from app.report.judgments import FEEDBACK
from app.report.making import make_report
from app.report.measuring import Progress
from app.report.model import Report
from app.report.rendering import render
from app.report.systems import ReportChoices, choose_systems
from app.settings import Location, reranker_from_environment
from indexing import Collection
from indexing.errors import BadInput
from indexing.storage.files import write_atomic
from indexing.storage.paths import check_name

__all__ = [
    "add_judged_set",
    "delete_judged_set",
    "judged_sets",
    "past_reports",
    "read_report",
    "rerankers_to_choose",
    "running_reports",
    "start_report",
    "write_report",
]


def write_report(
    caller: Caller,
    location: Location,
    name: str,
    source: str,
    split: str = "test",
    choices: ReportChoices | None = None,
    output: Path | None = None,
    form: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Make a report of collection `name` by the judgments of `source` (a BEIR folder, or "feedback"), keep
    it, and write it to `output` as HTML, or in the format `form` ("html", "json", "md").

    Raises:
        NotAllowed: the caller may not improve.
        UnknownCollection, BadInput, BadLine, RerankingFailed: something that cannot be used.
    """
    require(caller, "improve", name)
    report = make_report(location, name, source, split, choices, who=caller.name, progress=progress)
    keep_report(location, report)
    if output is not None:
        write_atomic(output, render(report, form or "html").encode("utf-8"))
    return report


def start_report(
    caller: Caller, location: Location, name: str, source: str, split: str, choices: ReportChoices
) -> Job:
    """Start the job that makes a report, which is kept. From a page only what people said and uploaded sets
    can be measured with, and the rerankers of `rerankers_to_choose` compared.

    Raises:
        NotAllowed: the caller may not improve.
        UnknownCollection, BadInput: a collection, folder or choice that there is not.
    """
    require(caller, "improve", name)
    check_name(name)
    if caller.surface in ("page", "api"):
        _check_visitor(location, name, source, choices)
    arguments = job.describe(location, name, source, split, choices, who=caller.name)
    return start_job(location, "report", arguments, caller=caller)


def _check_visitor(location: Location, name: str, source: str, choices: ReportChoices) -> None:
    """Refuse paths and models that a visitor names: what lies on this machine is no matter of theirs."""
    with Collection.open(name, **location.arguments()) as collection:
        sets = [str(one.path) for one in list_judged_sets(location, collection.uuid)]
        asked = choose_systems(choices, collection.servings())
        allowed = (None, *rerankers_to_choose(collection))
    if source not in (FEEDBACK, *sets):
        raise BadInput("there are no such judgments: upload them first, or take what people said here")
    if unknown := [one.rerank for one in asked if one.rerank not in allowed]:
        raise BadInput(
            f"reranker {unknown[0]!r} is none that this page offers: {', '.join(filter(None, allowed))}"
        )


def rerankers_to_choose(collection: Collection) -> list[str]:
    """ "" for none, those that `collection` has by name, and the one that the settings name."""
    return list(dict.fromkeys(["", *collection.rerankers, reranker_from_environment() or ""]))


def running_reports(caller: Caller, location: Location, name: str) -> list[Job]:
    """The jobs that make reports of a collection and have not ended, then the last one if it failed.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search", name)
    mine = [one for one in list_jobs(location) if one.kind == "report" and one.collection == name]
    last = [one for one in mine[-1:] if one.finished and one.error]
    return [tell_job(one, caller) for one in (*(one for one in mine if not one.finished), *last)]


def past_reports(caller: Caller, location: Location, collection: Collection) -> list[Past]:
    """The reports of a collection that are kept and that the caller may read, the oldest first.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search", collection)
    found = list_reports(location, collection.uuid)
    return [one for one in found if one.source != FEEDBACK or "judge" in caller.rights]


def read_report(caller: Caller, location: Location, collection: Collection, number: int) -> Report:
    """
    Raises:
        NotAllowed: the caller may not search; or not judge, and the report was made from what people said:
            their questions stand in it.
        NotFound: there is none of this number. StorageError: its file is damaged.
    """
    require(caller, "search", collection)
    report = load_report(location, collection.uuid, number)
    if report.source == FEEDBACK:
        require(caller, "judge", collection)
    return report


def judged_sets(caller: Caller, location: Location, collection: Collection) -> list[JudgedFolder]:
    """The judged questions that were uploaded for a collection.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search", collection)
    return list_judged_sets(location, collection.uuid)


def add_judged_set(
    caller: Caller,
    location: Location,
    collection: Collection,
    name: str,
    files: Iterable[tuple[str, BinaryIO]],
) -> JudgedFolder:
    """Keep uploaded judgments under a name: a zip file of a BEIR folder, or queries.jsonl and .tsv files.

    Raises:
        NotAllowed: the caller may not judge.
        BadInput, BadLine: files that cannot be read, or are too large; nothing was kept.
    """
    require(caller, "judge", collection)
    return keep_judged_set(location, collection.uuid, name, files)


def delete_judged_set(caller: Caller, location: Location, collection: Collection, name: str) -> None:
    """
    Raises:
        NotAllowed: the caller may not judge.
        NotFound: there is none of this name.
    """
    require(caller, "judge", collection)
    remove_judged_set(location, collection.uuid, name)
