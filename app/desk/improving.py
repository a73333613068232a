"""Learning from what was said, trials, and what is live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.desk.visit import Visit
from app.desk.working import tell_job
from app.facade import gate, improvement, labelling, tuning, tuning_jobs
from app.facade.documents import read_bounded
from app.facade.improvement import Improvement, Person
from app.facade.jobs import Job
from app.facade.labelling import ToJudge
from app.feedback.judged import JudgedSet
from app.tuning.trial.report import TrialReport
from indexing.errors import BadInput

__all__ = [
    "Document",
    "begin_trial",
    "documents",
    "end_trial",
    "judged",
    "people",
    "promote",
    "roll_back",
    "seconds",
    "state",
    "to_judge",
    "trial",
    "tune",
    "tuning_job",
]


_MOST_IDS = 1_000


@dataclass(frozen=True)
class Document:
    """What one reads of a document."""

    title: str
    text: str


def state(visit: Visit, name: str) -> Improvement:
    found = improvement.improvement(visit.caller, visit.location, visit.collection(name))
    return found if found.job is None else replace(found, job=tell_job(found.job, visit))


def judged(visit: Visit, name: str) -> JudgedSet:
    """What people said, as graded questions."""
    return improvement.judged_questions(visit.caller, visit.location, visit.collection(name, "judge"))


def people(visit: Visit, name: str) -> list[Person]:
    return improvement.people_of(visit.caller, visit.location, visit.collection(name, "judge"))


def to_judge(visit: Visit, name: str) -> list[ToJudge]:
    """What this person should judge next."""
    return labelling.labelling_queue(visit.caller, visit.location, visit.collection(name, "judge"))


def documents(visit: Visit, name: str, ids: Sequence[str]) -> dict[str, Document]:
    """Those of `ids` that are there.

    Raises:
        BadInput: more than a thousand, or texts that are longer together than an answer may be.
    """
    if len(ids) > _MOST_IDS:
        raise BadInput(f"{len(ids):,} documents: ask for {_MOST_IDS:,} at most at once")
    collection = visit.collection(name)
    return {one.id: Document(one.title, one.text) for one in read_bounded(collection, ids)}


def seconds(visit: Visit, name: str) -> dict[str, float]:
    """About how long each lever takes."""
    return tuning.estimate_seconds(visit.caller, visit.location, visit.collection(name))


def tune(visit: Visit, name: str, lever: str) -> Job:
    visit.collection(name, "improve")
    return tell_job(tuning_jobs.start_tuning(visit.caller, visit.location, name, lever), visit)


def tuning_job(visit: Visit, name: str) -> Job | None:
    """The last job that tuned the collection."""
    visit.collection(name)
    job = improvement.tuning_job(visit.caller, visit.location, name)
    return None if job is None else tell_job(job, visit)


def trial(visit: Visit, name: str) -> TrialReport | None:
    """The trial that goes on, ended where it is decided and the caller may do that."""
    collection = visit.collection(name)
    may_end = "improve" in visit.caller.rights
    return (gate.settle_trial if may_end else gate.trial_report)(visit.caller, visit.location, collection)


def begin_trial(visit: Visit, name: str, serving: int) -> TrialReport:
    return gate.start_trial(visit.caller, visit.location, visit.collection(name, "improve"), serving)


def end_trial(visit: Visit, name: str) -> TrialReport:
    return gate.end_trial(visit.caller, visit.location, visit.collection(name, "improve"))


def promote(visit: Visit, name: str, serving: int, override: str | None = None) -> int:
    """Lets `serving` answer; see `app.facade.gate.promote`. Returns it."""
    collection = visit.collection(name, "improve")
    return gate.promote(visit.caller, visit.location, collection, serving, override).serving.id


def roll_back(visit: Visit, name: str, expected: int | None = None) -> int:
    """Lets what answered before answer again, with `expected` only if that serving, which the page showed, is
    live still: of two who press at once, one goes back. Returns it.
    """
    collection = visit.collection(name, "improve")
    return gate.rollback(visit.caller, visit.location, collection, expected=expected).serving.id
