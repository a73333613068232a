"""Learning from what people said: a candidate serving, tested by the gate, promoted if that is wanted.

report = tune(caller, location, "notes", "auto", promote="if-better")
report.gate.sentences
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.facade.caller import Caller, require
from app.facade.telling import tell_run
from app.feedback.judged import HELDOUT, TRAIN, JudgedSet, Question, read_judged
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import read_impressions
from app.settings import Location
from app.tuning.gate.guard import read_guard
from app.tuning.gate.model import PASSED, GateReport
from app.tuning.gate.run import ENOUGH, known_questions, run_gate
from app.tuning.learn import LEVERS, Learned, estimate, learn, make_candidate, refit_of
from app.tuning.levers.full import FullLever
from app.tuning.negatives import shown_not_chosen
from app.tuning.report import EMBED, TEST, LeverReport, TuneProgress, TuneReport, TuneStep
from app.tuning.runs import Run, add_run, read_looks, read_runs
from app.tuning.trained.candidates import models_folder
from indexing import Collection
from indexing.errors import BadInput, GateNotPassed
from indexing.names import DEFAULT_MODE

__all__ = [
    "LEVERS",
    "PROMOTE",
    "TuneReport",
    "TuneStep",
    "check_choices",
    "estimate_seconds",
    "list_runs",
    "tune",
]

PROMOTE = ("never", "if-better")
_NOTHING_NEW = (
    "What is live has learned from every judged question that could test a candidate, so everything stays as"
    " it is: judge answers to new questions first."
)
MOST_PAST = 500
"""Past questions of which is counted how many answers change, the last ones."""


def tune(
    caller: Caller,
    location: Location,
    name: str,
    lever: str = "auto",
    promote: str = "never",
    *,
    guard: Path | None = None,
    mode: str = DEFAULT_MODE,
    progress: TuneProgress | None = None,
    key: str = "",
    model: str | None = None,
) -> TuneReport:
    """Makes a candidate of what is live by `lever`, one of `LEVERS`, and tests it once. With `promote`
    "if-better" it becomes live if the gate passes it.

    With fewer than 200 judged questions it learns from all of them, and the gate refits it on parts;
    otherwise it learns from the train side alone. `guard` is a judged folder in BEIR layout that must not get
    worse. The same judgments make the same candidate; a tune that was killed goes on with the one it made,
    and one with a `key` that was done is not done again.

    The levers `reranker` and `full` train a model: `model`, a folder or a name, or what is served. `full`
    learns from the train side alone, however few were judged, and embeds the documents anew beside those that
    are live.

    Raises:
        NotAllowed: the caller may not improve.
        BadInput: an unknown lever; nothing was judged yet; the guard cannot be read; the model cannot be
            trained, or what training needs is missing.
        StorageError, LockedError: what was learned cannot be kept.
    """
    require(caller, "improve", name)
    check_choices(lever, promote)
    started = time.perf_counter()
    held = None if guard is None else read_guard(guard)
    with Collection.open(name, **location.arguments()) as collection, collection.probe() as probe:
        if (before := _done(location, collection, key)) is not None:
            return before
        judged = read_judged(location, collection)
        questions, unanswered = _questions(judged, cross_fits=lever != FullLever.name)
        learned = learn(
            probe,
            questions,
            lever,
            unanswered=unanswered,
            mode=mode,
            progress=progress,
            model=model,
            shown=shown_not_chosen(location, collection, questions) if lever == FullLever.name else None,
        )
        candidate, report, promoted = None, None, False
        testable = _testable(location, collection, judged, probe.serving_id)
        if learned.fitted and testable:
            runs = read_runs(location, collection.uuid)
            candidate = make_candidate(
                collection,
                learned,
                judged.fingerprint,
                made_from=probe.serving_id,
                known={run.candidate for run in runs if run.candidate is not None},
                folder=models_folder(location, collection.name),
                who=caller.name,
                progress=_stage_progress(progress, EMBED),
            )
            report = _finished(location, collection, candidate) or run_gate(
                location,
                collection,
                candidate,
                judged,
                refit=refit_of(learned, probe),
                guard=held,
                past=_past(location, collection),
                mode=mode,
                who=caller.name,
                progress=_stage_progress(progress, TEST),
            )
            if promote == "if-better" and report.verdict == PASSED:
                promoted = _promote(collection, candidate, caller.name)
        done = TuneReport(
            collection.name,
            lever,
            candidate,
            report,
            promoted,
            len(questions),
            tuple(learned.reports),
            _sentence(report, promoted) if testable else _NOTHING_NEW,
            time.perf_counter() - started,
        )
        _keep(location, collection, done, learned, questions, caller.name, key)
    return done


def check_choices(lever: str, promote: str) -> None:
    """
    Raises:
        BadInput: one of them is unknown.
    """
    if lever not in LEVERS:
        raise BadInput(f"lever {lever!r}: use one of {', '.join(LEVERS)}")
    if promote not in PROMOTE:
        raise BadInput(f"promote {promote!r}: use one of {', '.join(PROMOTE)}")


def estimate_seconds(caller: Caller, location: Location, name: str | Collection) -> dict[str, float]:
    """About how long each of `LEVERS` takes on two cores with what was judged so far, the gate included.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search", name)
    if not isinstance(name, Collection):
        with Collection.open(name, **location.arguments()) as collection:
            return estimate_seconds(caller, location, collection)
    judged = read_judged(location, name)
    count = sum(question.answered for question in judged.questions)
    return estimate(count, len(name), cross_fitted=count < ENOUGH)


def list_runs(caller: Caller, location: Location, name: str | Collection) -> list[Run]:
    """Every tune of a collection, the oldest first; the questions of people are told to those who judge.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search", name)
    if not isinstance(name, Collection):
        with Collection.open(name, **location.arguments()) as collection:
            return list_runs(caller, location, collection)
    return [tell_run(run, caller) for run in read_runs(location, name.uuid)]


def _questions(judged: JudgedSet, *, cross_fits: bool = True) -> tuple[list[Question], list[Question]]:
    """Those to learn from, and those of the same sides of which only wrong answers are known.

    Raises:
        BadInput: there is none to learn from.
    """
    train, heldout = judged.side(TRAIN), judged.side(HELDOUT)
    if not train and not heldout:
        raise BadInput(
            "nobody called an answer right yet, so there is nothing to learn from: judge some answers on the"
            " search page, or `stlib feedback import`"
        )
    few = cross_fits and len(train) + len(heldout) < ENOUGH
    sides = (TRAIN, HELDOUT) if few else (TRAIN,)
    unanswered = [one for one in judged.questions if one.side in sides and not one.answered]
    return ([*train, *heldout] if few else train), unanswered


def _testable(location: Location, collection: Collection, judged: JudgedSet, live: int) -> bool:
    """Whether there is a question to test with that what is live has not learned from."""
    train, heldout = judged.side(TRAIN), judged.side(HELDOUT)
    asked = [*train, *heldout] if len(train) + len(heldout) < ENOUGH else heldout
    known = known_questions(location, collection, live)
    return not asked or any(one.id not in known for one in asked)


def _promote(collection: Collection, candidate: int, who: str) -> bool:
    """False where another serving became live since the test, which says nothing of that one."""
    try:
        collection.promote(candidate, who=who)
    except GateNotPassed:
        return False
    return True


def _done(location: Location, collection: Collection, key: str) -> TuneReport | None:
    """What the tune with this key did before its process died."""
    runs = read_runs(location, collection.uuid) if key else []
    run = next((run for run in runs if run.details.get("key") == key), None)
    if run is None:
        return None
    return TuneReport(
        collection.name,
        run.lever,
        run.candidate,
        None if run.gate is None else GateReport.from_dict(run.gate),
        run.promoted,
        int(run.details["questions"]),
        tuple(LeverReport(**one) for one in run.details["levers"]),
        str(run.details["sentence"]),
        run.seconds,
    )


def _finished(location: Location, collection: Collection, candidate: int) -> GateReport | None:
    """The report of a test of `candidate` that was done already."""
    for look in read_looks(location, collection.uuid):
        if look.candidate == candidate and look.report is not None:
            return GateReport.from_dict(look.report)
    return None


def _past(location: Location, collection: Collection) -> list[str]:
    """Texts of the last different questions that people asked."""
    place = feedback_place(location)
    feedback_log(place).flush()
    if not place.exists:
        return []
    texts: dict[str, None] = {}
    for impression in reversed(read_impressions(place, collection.uuid)):
        if impression.query and len(texts) < MOST_PAST:
            texts.setdefault(impression.query)
    return list(texts)


def _stage_progress(progress: TuneProgress | None, stage: str) -> Any:
    if progress is None:
        return None
    return lambda done, total: progress(TuneStep(stage, done, total))


def _sentence(report: GateReport | None, promoted: bool) -> str:
    if report is None:
        return (
            "Cross-validation finds nothing that helps questions that were not learned from, so everything"
            " stays as it is; more judged questions may change that."
        )
    verdict = report.sentences[0] if report.sentences else f"The gate says: {report.verdict}."
    return f"{verdict} It is live." if promoted else verdict


def _keep(
    location: Location,
    collection: Collection,
    done: TuneReport,
    learned: Learned,
    questions: Sequence[Question],
    who: str,
    key: str,
) -> None:
    told = done.to_dict()
    add_run(
        location,
        collection.uuid,
        done.lever,
        candidate=done.candidate,
        promoted=done.promoted,
        seconds=done.seconds,
        who=who,
        details={
            "levers": told["levers"],
            "curves": learned.curves,
            "questions": done.questions,
            "mode": learned.data.mode,
            "sentence": done.sentence,
            "key": key,
        },
        gate=told["gate"],
        questions=[question.id for question in questions],
    )
