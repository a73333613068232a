"""Reports, and the judged questions that they are made with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.desk.visit import Visit
from app.facade import reports
from app.facade.collections import Incoming
from app.facade.jobs import Job
from app.report.history import Past
from app.report.judged_sets import JudgedFolder
from app.report.model import Report
from app.report.systems import ReportChoices
from indexing.serving.history import Serving

__all__ = ["Evaluation", "add_set", "delete_set", "evaluation", "report", "running", "start"]


@dataclass(frozen=True)
class Evaluation:
    """What there is to compare, by what, and what came of it: `past` reports, the oldest first."""

    uuid: str
    modes: tuple[str, ...]
    servings: list[Serving]
    rerankers: list[str]
    sets: list[JudgedFolder]
    past: list[Past]


def evaluation(visit: Visit, name: str) -> Evaluation:
    collection = visit.collection(name)
    return Evaluation(
        collection.uuid,
        tuple(collection.modes),
        collection.servings(),
        reports.rerankers_to_choose(collection),
        reports.judged_sets(visit.caller, visit.location, collection.uuid),
        reports.past_reports(visit.caller, visit.location, collection.uuid),
    )


def running(visit: Visit, name: str) -> list[Job]:
    """The jobs that make reports and have not ended, then the last one if it failed."""
    visit.collection(name)
    return reports.running_reports(visit.caller, visit.location, name)


def report(visit: Visit, name: str, number: int) -> Report:
    return reports.read_report(visit.caller, visit.location, visit.collection(name).uuid, number)


def start(visit: Visit, name: str, source: str, split: str, choices: ReportChoices) -> Job:
    visit.collection(name, "improve")
    return reports.start_report(visit.caller, visit.location, name, source, split, choices)


def add_set(visit: Visit, name: str, title: str, files: Sequence[Incoming]) -> JudgedFolder:
    uuid = visit.collection(name, "judge").uuid
    brought = [(one.name, one.file) for one in files]
    return reports.add_judged_set(visit.caller, visit.location, uuid, title, brought)


def delete_set(visit: Visit, name: str, title: str) -> None:
    uuid = visit.collection(name, "judge").uuid
    reports.delete_judged_set(visit.caller, visit.location, uuid, title)
