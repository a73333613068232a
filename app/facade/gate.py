"""Letting a candidate answer: promoted, tried beside what is live, and back; and what was tested and tried.

Every function takes who asks, and needs the right to improve where something changes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from app.facade.caller import Caller, require
from app.facade.telling import tell_look, tell_run
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import read_events, read_impressions, read_sayings
from app.settings import LOG_VARIABLE, Location, log_settings
from app.tuning.gate.model import PASSED, GateReport
from app.tuning.runs import (
    Look,
    Run,
    TrialRow,
    begin_trial,
    finish_trial,
    latest_trial,
    read_looks,
    read_runs,
)
from app.tuning.trial.report import CANDIDATE, GOES_ON, TrialReport, judge_votes
from app.tuning.trial.votes import count_votes
from indexing import Collection
from indexing.errors import BadInput, StorageError

if TYPE_CHECKING:
    from indexing.serving.promote import Promoted

__all__ = [
    "end_trial",
    "gate_report",
    "list_looks",
    "list_runs",
    "promote",
    "rollback",
    "settle_trial",
    "start_trial",
    "trial_report",
]


def promote(
    caller: Caller, location: Location, name: str | Collection, serving: int, override: str | None = None
) -> Promoted:
    """Lets `serving` answer. One that was learned needs the gate's word, or the reason of a person, which the
    history keeps with the name. A trial that goes on ends, and is noted.

    Raises:
        NotAllowed: the caller may not improve.
        GateNotPassed: the gate has not passed it, and there is no `override`.
        BadInput: there is no such serving.
    """
    require(caller, "improve", name)
    with opened(location, name) as collection:
        before = _trial(caller, location, collection)
        promoted = collection.promote(serving, override, who=caller.name)
        if before is not None:
            _finish(location, collection, before, caller.name)
        return promoted


def rollback(
    caller: Caller, location: Location, name: str | Collection, *, expected: int | None = None
) -> Promoted:
    """Lets what answered before answer again, at once, in every process; with `expected` only if that serving
    is live.

    Raises:
        NotAllowed: the caller may not improve.
        BadInput: nothing answered before.
        AnotherIsLive: not the one that was `expected`.
    """
    require(caller, "improve", name)
    with opened(location, name) as collection:
        before = _trial(caller, location, collection)
        promoted = collection.rollback(who=caller.name, expected=expected)
        if before is not None:
            _finish(location, collection, before, caller.name)
        return promoted


def start_trial(caller: Caller, location: Location, name: str | Collection, serving: int) -> TrialReport:
    """Lets `serving` answer beside what is live, interleaved, until clicks decide, a bound is reached,
    or somebody ends it.

    Raises:
        NotAllowed: the caller may not improve.
        BadInput: there is no such serving, it is live, another one is tried, or searches are not recorded.
    """
    require(caller, "improve", name)
    if log_settings().mode == "off":
        raise BadInput(
            f"searches are not recorded here, and a trial counts clicks: set {LOG_VARIABLE}=on, or hashes"
        )
    with opened(location, name) as collection:
        tried = collection.trial()
        if tried is not None:
            raise BadInput(
                f"serving {tried} of collection {collection.name!r} is tried already: end that first"
                f" (`stlib trial {collection.name} --end`)"
            )
        moved = collection.start_trial(serving, who=caller.name)
        row = begin_trial(location, collection.uuid, moved.before.id, serving, caller.name)
        return _judge(location, collection, row)


def trial_report(caller: Caller, location: Location, name: str | Collection) -> TrialReport | None:
    """The trial that goes on, or the last one; None if there never was one. Changes nothing.

    Raises:
        NotAllowed: the caller may not search.
    """
    require(caller, "search", name)
    with opened(location, name) as collection:
        row = latest_trial(location, collection.uuid)
        return None if row is None else _judge(location, collection, row)


def settle_trial(caller: Caller, location: Location, name: str | Collection) -> TrialReport | None:
    """As `trial_report`; and where the trial is decided, or at its bound, it is over: the candidate becomes
    live if people prefer it, and what is live stays otherwise. A candidate that does worse on its guard set
    than it may is not promoted by clicks.

    Raises:
        NotAllowed: the caller may not improve.
    """
    require(caller, "improve", name)
    with opened(location, name) as collection:
        row = _trial(caller, location, collection)
        if row is None:
            last = latest_trial(location, collection.uuid)
            return None if last is None else _judge(location, collection, last)
        report = _judge(location, collection, row)
        if report.state == GOES_ON:
            return report
        note = ""
        if report.state == CANDIDATE and (note := _why_not(collection, report.candidate)) == "":
            if not _promote_tried(collection, report, caller.name):
                return replace(_judge(location, collection, row), outcome="stopped")
            outcome = "promoted"
        else:
            collection.end_trial(who=caller.name, serving=report.candidate)
            outcome = "ended"
        report = replace(report, outcome=outcome, note=note)
        finish_trial(location, row, outcome, report.to_dict(), caller.name)
        return report


def end_trial(caller: Caller, location: Location, name: str | Collection) -> TrialReport:
    """Lets what is live answer alone, whatever the votes say so far.

    Raises:
        NotAllowed: the caller may not improve.
        BadInput: nothing is tried.
    """
    require(caller, "improve", name)
    with opened(location, name) as collection:
        row = _trial(caller, location, collection)
        if row is None:
            raise BadInput(f"no serving of collection {collection.name!r} is tried now")
        collection.end_trial(who=caller.name)
        return _finish(location, collection, row, caller.name)


def gate_report(
    caller: Caller, location: Location, name: str | Collection, serving: int
) -> GateReport | None:
    """The last report of the gate on a serving; None if there is none.

    Raises:
        NotAllowed: the caller may not search.
        StorageError: the records are damaged.
    """
    require(caller, "search", name)
    for look in reversed(list_looks(caller, location, name)):
        if look.candidate == serving and look.report is not None:
            try:
                return GateReport.from_dict(look.report)
            except ValueError as error:
                raise StorageError(f"look {look.id} of serving {serving}: {error}; test it again") from error
    return None


def list_looks(caller: Caller, location: Location, name: str | Collection) -> list[Look]:
    """Every test of a candidate, the oldest first; one without a verdict was stopped, and counts. The
    questions of people stand in the reports for those who judge.
    """
    require(caller, "search", name)
    with opened(location, name) as collection:
        return [tell_look(look, caller) for look in read_looks(location, collection.uuid)]


def list_runs(caller: Caller, location: Location, name: str | Collection) -> list[Run]:
    """Every tune of a collection, the oldest first; what was asked is told as by `list_looks`."""
    require(caller, "search", name)
    with opened(location, name) as collection:
        return [tell_run(run, caller) for run in read_runs(location, collection.uuid)]


@contextmanager
def opened(location: Location, name: str | Collection) -> Iterator[Collection]:
    """The collection of this name, or the one that is open already, which stays so."""
    if isinstance(name, Collection):
        yield name
        return
    with Collection.open(name, **location.arguments()) as collection:
        yield collection


def _trial(caller: Caller, location: Location, collection: Collection) -> TrialRow | None:
    """The trial that goes on. The collection knows best: one that ended without a word is noted as it ended,
    and one that began so is noted from now on.
    """
    row = latest_trial(location, collection.uuid)
    tried = collection.trial()
    live = next(one.id for one in collection.servings() if one.live)
    going_on = row is not None and row.ended is None
    if row is not None and going_on and (row.candidate != tried or row.live != live):
        outcome = "promoted" if live == row.candidate else "stopped"
        finish_trial(location, row, outcome, _judge(location, collection, row).to_dict())
        going_on = False
    if tried is not None and not going_on:
        return begin_trial(location, collection.uuid, live, tried, caller.name)
    return row if going_on else None


def _finish(location: Location, collection: Collection, row: TrialRow, who: str) -> TrialReport:
    live = next(one.id for one in collection.servings() if one.live)
    outcome = "promoted" if live == row.candidate else "stopped"
    report = replace(_judge(location, collection, row), outcome=outcome)
    finish_trial(location, row, outcome, report.to_dict(), who)
    return report


def _judge(location: Location, collection: Collection, row: TrialRow) -> TrialReport:
    """The report on a trial, as it stands or as it ended."""
    place = feedback_place(location)
    feedback_log(place).flush()
    now = time.time() if row.ended is None else row.ended
    servings = (row.live, row.candidate)
    votes = count_votes(
        read_impressions(place, collection.uuid),
        read_events(place, collection.uuid),
        read_sayings(place, collection.uuid),
        servings,
        row.started,
        now,
    )
    report = judge_votes(
        votes, collection=collection.name, servings=servings, started=row.started, now=now, who=row.who
    )
    note = str((row.report or {}).get("note", ""))
    return replace(report, outcome=row.outcome, note=note)


def _serving_gate(collection: Collection, serving: int) -> dict[str, object] | None:
    return next((one.gate for one in collection.servings() if one.id == serving), None)


def _why_not(collection: Collection, candidate: int) -> str:
    gate = _serving_gate(collection, candidate)
    if gate is not None and gate.get("guard") is False:
        return (
            "People prefer the candidate, and it does worse on its guard set than it may: promote it with"
            " --override if you know why."
        )
    return ""


def _promote_tried(collection: Collection, report: TrialReport, who: str) -> bool:
    """False if somebody ended the trial, or moved what is live, while the votes were counted: the votes say
    nothing of anything else.
    """
    reason = _reason(report) if _needs_reason(collection, report) else None
    try:
        collection.promote(report.candidate, reason, who=who, tried_beside=report.live)
    except BadInput:
        live = next(one.id for one in collection.servings() if one.live)
        if (collection.trial(), live) == (report.candidate, report.live):
            raise
        return False
    return True


def _needs_reason(collection: Collection, report: TrialReport) -> bool:
    gate = _serving_gate(collection, report.candidate)
    return gate is not None and (
        gate.get("verdict") != PASSED or gate.get("baseline") not in (None, report.live)
    )


def _reason(report: TrialReport) -> str:
    return (
        f"preferred in a trial: {report.wins} of {report.wins + report.losses} visits, at least"
        f" {report.low:.0%} with 95 % certainty"
    )
