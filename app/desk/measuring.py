"""Reports, and the judged questions that they are made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.desk.visit import Visit
from app.desk.working import tell_job
from app.facade import reports
from app.facade.collections import Incoming
from app.facade.jobs import Job
from app.report.history import Past
from app.report.judged_sets import JudgedFolder
from app.report.judgments import FEEDBACK
from app.report.model import Report
from app.report.systems import ReportChoices
from indexing import Collection
from indexing.errors import BadInput
from indexing.serving.history import Serving

__all__ = ["Evaluation", "JudgedName", "add_set", "delete_set", "evaluation", "report", "running", "start"]


@dataclass(frozen=True)
class JudgedName:
    """Judged questions that somebody brought: their name, and the splits that they have."""

    name: str
    splits: tuple[str, ...]


@dataclass(frozen=True)
class Evaluation:
    """What there is to compare, by what, and what came of it: `past` reports, the oldest first."""

    uuid: str
    modes: tuple[str, ...]
    servings: list[Serving]
    rerankers: list[str]
    sets: list[JudgedName]
    past: list[Past]


def evaluation(visit: Visit, name: str) -> Evaluation:
    collection = visit.collection(name)
    return Evaluation(
        collection.uuid,
        tuple(collection.modes),
        collection.servings(),
        reports.rerankers_to_choose(collection),
        [JudgedName(one.name, one.splits) for one in _sets(visit, collection)],
        [
            replace(one, source=_name_of(one.source))
            for one in reports.past_reports(visit.caller, visit.location, collection)
        ],
    )


def running(visit: Visit, name: str) -> list[Job]:
    """The jobs that make reports and have not ended, then the last one if it failed."""
    visit.collection(name)
    return [tell_job(job, visit) for job in reports.running_reports(visit.caller, visit.location, name)]


def report(visit: Visit, name: str, number: int) -> Report:
    """Elsewhere nobody is told where judged questions lie."""
    found = reports.read_report(visit.caller, visit.location, visit.collection(name), number)
    if visit.here:
        return found
    source = _name_of(found.source)
    return replace(found, source=source, command=found.command.replace(found.source, source))


def start(visit: Visit, name: str, judged: str, split: str, choices: ReportChoices) -> Job:
    """`judged` is the name of a set, or empty for what people said here.

    Raises:
        BadInput: there is no such set, or a choice that there is not.
    """
    collection = visit.collection(name, "improve")
    paths = {"": FEEDBACK, **{one.name: str(one.path) for one in _sets(visit, collection)}}
    if judged not in paths:
        raise BadInput(f"there are no judged questions {judged!r}: bring them first")
    source = paths[judged]
    return tell_job(reports.start_report(visit.caller, visit.location, name, source, split, choices), visit)


def add_set(visit: Visit, name: str, title: str, files: Sequence[Incoming]) -> JudgedName:
    collection = visit.collection(name, "judge")
    brought = [(one.name, one.file) for one in files]
    kept = reports.add_judged_set(visit.caller, visit.location, collection, title, brought)
    return JudgedName(kept.name, kept.splits)


def delete_set(visit: Visit, name: str, title: str) -> None:
    collection = visit.collection(name, "judge")
    reports.delete_judged_set(visit.caller, visit.location, collection, title)


def _sets(visit: Visit, collection: Collection) -> list[JudgedFolder]:
    return reports.judged_sets(visit.caller, visit.location, collection)


def _name_of(source: str) -> str:
    """Of judged questions, without the folder that they lie in."""
    return source.rsplit("/", 1)[-1]
