"""What there is to improve a collection with, and what came of it: for those who look at it on a page."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from app.facade.caller import Caller, require
from app.facade.feedback import feedback_status
from app.facade.jobs import Job, list_jobs
from app.facade.telling import tell_run
from app.feedback.judged import JudgedSet, read_judged
from app.feedback.model import IMPORTED, latest_words
from app.feedback.place import feedback_place
from app.feedback.status import FeedbackStatus
from app.feedback.table import read_sayings
from app.settings import Location
from app.tuning.gate.model import GateReport
from app.tuning.runs import Run, read_runs
from indexing import Collection
from indexing.serving.history import Serving

__all__ = [
    "Improvement",
    "Person",
    "improvement",
    "judged_questions",
    "people_of",
    "report_of",
    "tuning_job",
]

TUNE = "tune"
"""The kind of job that improves a collection."""


@dataclass(frozen=True)
class Person:
    """Who judged, and how many of the words that count. A nameless visitor has the name of no one: "",
    all of them together.
    """

    name: str
    words: int


@dataclass(frozen=True)
class Improvement:
    """Where a collection stands.

    Attributes:
        status: how much is kept of it.
        servings: the oldest first.
        runs: of tuning, the oldest first.
        job: the last that tuned it, whatever became of it; None if none did.
    """

    status: FeedbackStatus
    servings: list[Serving]
    runs: list[Run]
    job: Job | None

    @property
    def live(self) -> Serving:
        return next(one for one in self.servings if one.live)

    @property
    def tried(self) -> Serving | None:
        """The serving that answers beside the live one."""
        return next((one for one in self.servings if one.trial), None)

    @property
    def last(self) -> Run | None:
        return self.runs[-1] if self.runs else None


def improvement(caller: Caller, location: Location, collection: Collection) -> Improvement:
    """
    Raises:
        NotAllowed: the caller may not search.
        StorageError: what is kept of searches or of tuning is damaged.
    """
    return Improvement(
        feedback_status(caller, location, collection),
        collection.servings(),
        [tell_run(run, caller) for run in read_runs(location, collection.uuid)],
        tuning_job(caller, location, collection.name),
    )


def judged_questions(caller: Caller, location: Location, collection: Collection) -> JudgedSet:
    """What people said, as graded questions.

    Raises:
        NotAllowed: the caller may not judge.
        StorageError: what is kept of feedback is damaged.
    """
    require(caller, "judge", collection)
    return read_judged(location, collection)


def people_of(caller: Caller, location: Location, collection: Collection) -> list[Person]:
    """Who judged, the most diligent first; what came from files stands under "import"."""
    require(caller, "judge", collection)
    place = feedback_place(location)
    if not place.exists:
        return []
    words = latest_words(read_sayings(place, collection.uuid)).values()
    counts = Counter(IMPORTED if word.kind == "import" else word.who for word in words)
    return [Person(name, count) for name, count in counts.most_common()]


def tuning_job(caller: Caller, location: Location, name: str) -> Job | None:
    """The last job that tuned collection `name`."""
    require(caller, "search", name)
    jobs = [job for job in list_jobs(location, caller=caller) if job.kind == TUNE and job.collection == name]
    return jobs[-1] if jobs else None


def report_of(run: Run) -> GateReport | None:
    """What the gate said; None where a run made no candidate, or its report cannot be read any more."""
    try:
        return None if run.gate is None else GateReport.from_dict(run.gate)
    except ValueError:
        return None
