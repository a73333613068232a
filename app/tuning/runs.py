"""What was tuned, tested and tried: the records of a home.

    run                what a tune did: lever, candidate, curves, the gate's report
    look               the ledger: each test of a candidate, and what it may spend
    look_question      which questions a look has seen, by their hashes
    serving_question   with which questions a serving was tuned
    trial              servings that answered beside the live one, and what came of it

A look is on the disk before its result is known, so that one whose process died counts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from app.settings import Location
from app.statistics.multiple import alpha_of_look
from app.tuning.place import tuning_database
from indexing.catalog.database import reading, writing
from indexing.catalog.dialect import dialect_of
from indexing.catalog.log import slices
from indexing.catalog.side_database import open_side_database
from indexing.catalog.types import NUMBER
from indexing.errors import StorageError
from indexing.storage.paths import is_there

__all__ = [
    "FRESH",
    "LOOKS",
    "LOOK_QUESTIONS",
    "RUNS",
    "SERVING_QUESTIONS",
    "TRIALS",
    "Look",
    "Run",
    "TrialRow",
    "add_run",
    "begin_trial",
    "finish_look",
    "finish_trial",
    "keep_questions",
    "latest_trial",
    "open_records",
    "questions_of",
    "read_looks",
    "read_runs",
    "read_trials",
    "seen_questions",
    "servings_of_questions",
    "take_look",
]

FRESH = 50
"""So many questions that no earlier look has seen make a test of their own, with a fresh alpha, if they are
at least as many as those that were seen. Fewer are tested together with the old ones, at the next look's
alpha: a handful of new questions buys no new budget. The rule looks at counts alone, never at results.
"""

VERSION = 1
_METADATA = sa.MetaData()


@dataclass(frozen=True)
class Run:
    """What one tune did.

    Attributes:
        collection: uuid; candidate: serving id, None if nothing was learned.
        details: curves, chosen numbers and whatever else its maker wants to show again.
        gate: a `GateReport` as JSON.
    """

    id: int
    collection: str
    at: float
    who: str
    lever: str
    candidate: int | None
    promoted: bool
    seconds: float
    details: dict[str, Any]
    gate: dict[str, Any] | None


@dataclass(frozen=True)
class Look:
    """One test of a candidate.

    Attributes:
        epoch: counts budgets: each belongs to questions that no look of an earlier epoch has seen.
        number: of the look in its epoch, from 1.
        alpha: what it may spend.
        baseline: the serving that was live.
        p, verdict, report: None until the result is known, for ever if its process died.
    """

    id: int
    collection: str
    at: float
    who: str
    epoch: int
    number: int
    alpha: float
    baseline: int
    candidate: int
    questions: int
    cross_fitted: bool
    p: float | None
    verdict: str | None
    report: dict[str, Any] | None


@dataclass(frozen=True)
class TrialRow:
    """One trial. `ended` and `outcome` ("promoted", "ended", "stopped") are None while it goes on; `report`
    is what was known when it ended.
    """

    id: int
    collection: str
    started: float
    who: str
    live: int
    candidate: int
    ended: float | None
    ended_by: str
    outcome: str | None
    report: dict[str, Any] | None


Record = TypeVar("Record", Run, Look, TrialRow)

_TYPES: dict[str, tuple[Any, Any]] = {
    "int": (NUMBER, int),
    "float": (sa.Float, (int, float)),
    "str": (sa.Text, str),
    "bool": (sa.Boolean, bool),
    "dict[str, Any]": (sa.JSON(none_as_null=True), dict),
}


def _fields(record: type) -> list[tuple[str, Any, Any, bool]]:
    """Of each field its name, column type, Python types, and whether it may be None."""
    found = []
    for name, said in record.__annotations__.items():
        column, kinds = _TYPES[str(said).removesuffix(" | None")]
        found.append((name, column, kinds, str(said).endswith(" | None")))
    return found


def _table(name: str, record: type, *more: Any) -> sa.Table:
    columns = [
        sa.Column(field, column, primary_key=field == "id", nullable=optional)
        for field, column, _, optional in _fields(record)
    ]
    return sa.Table(name, _METADATA, *columns, *more, sqlite_autoincrement=True)


RUNS = _table("run", Run)
LOOKS = _table("look", Look, sa.UniqueConstraint("collection", "epoch", "number"))
TRIALS = _table("trial", TrialRow)
LOOK_QUESTIONS = sa.Table(
    "look_question",
    _METADATA,
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("question", sa.Text, primary_key=True),
    sa.Column("epoch", NUMBER, primary_key=True),
)
SERVING_QUESTIONS = sa.Table(
    "serving_question",
    _METADATA,
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("serving", NUMBER, primary_key=True),
    sa.Column("question", sa.Text, primary_key=True),
)
_TABLES: dict[type, sa.Table] = {Run: RUNS, Look: LOOKS, TrialRow: TRIALS}


@contextmanager
def open_records(location: Location) -> Iterator[sa.Engine]:
    """The database, for one use. Raises StorageError if a newer release wrote it, or it is damaged."""
    path = tuning_database(location)
    engine = open_side_database(path, _METADATA, VERSION, "tuning")
    try:
        yield engine
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise StorageError(
            f"{path} is damaged ({error}): move it away to begin anew; no collection needs it, and looks"
            " are counted from the first again"
        ) from error
    finally:
        engine.dispose()


def _exists(location: Location) -> bool:
    address = tuning_database(location)
    return is_there(address) or (isinstance(address, Path) and address.is_symlink())


def _read(record: type[Record], row: Any) -> Record:
    """The record of a row. Raises ValueError where something else than this module wrote it."""
    values = dict(row._mapping)
    for name, _, kinds, optional in _fields(record):
        value = values[name]
        fits = isinstance(value, kinds) and (kinds is bool or not isinstance(value, bool))
        if fits and isinstance(value, (int, float)):
            fits = math.isfinite(value) and abs(value) <= 2**53
        if not fits and not (optional and value is None):
            raise ValueError(f"a {record.__name__.lower()} has a {name} that is none")
    return record(**values)


def _read_all(location: Location, record: type[Record], collection: str) -> list[Record]:
    if not _exists(location):
        return []
    table = _TABLES[record]
    mine = sa.select(table).where(table.c.collection == collection).order_by(table.c.id)
    with open_records(location) as engine, reading(engine) as connection:
        return [_read(record, row) for row in connection.execute(mine)]


# --- runs --------------------------------------------------------------------------------------------------


def add_run(
    location: Location,
    collection: str,
    lever: str,
    *,
    candidate: int | None,
    promoted: bool,
    seconds: float,
    who: str = "",
    details: dict[str, Any] | None = None,
    gate: dict[str, Any] | None = None,
    questions: Iterable[str] = (),
) -> Run:
    """Keeps what a tune did, and with which questions (their ids) the candidate was tuned."""
    values = {
        "collection": collection,
        "at": time.time(),
        "who": who,
        "lever": lever,
        "candidate": candidate,
        "promoted": promoted,
        "seconds": seconds,
        "details": details or {},
        "gate": gate,
    }
    with open_records(location) as engine, writing(engine) as connection:
        row = connection.execute(RUNS.insert().values(values).returning(RUNS)).one()
        if candidate is not None:
            _keep_questions(connection, collection, candidate, questions)
        return _read(Run, row)


def read_runs(location: Location, collection: str) -> list[Run]:
    """Every run of a collection (its uuid), the oldest first. Raises StorageError if the file is damaged."""
    return _read_all(location, Run, collection)


def keep_questions(location: Location, collection: str, serving: int, questions: Iterable[str]) -> None:
    """Notes the questions (ids) that a serving was tuned with; those noted before stay."""
    with open_records(location) as engine, writing(engine) as connection:
        _keep_questions(connection, collection, serving, questions)


def _keep_questions(
    connection: sa.Connection, collection: str, serving: int, questions: Iterable[str]
) -> None:
    rows = [{"collection": collection, "serving": serving, "question": one} for one in set(questions)]
    if rows:
        connection.execute(dialect_of(connection).insert_new(SERVING_QUESTIONS), rows)


def questions_of(location: Location, collection: str, serving: int) -> set[str]:
    """Ids of the questions that a serving was tuned with."""
    if not _exists(location):
        return set()
    table = SERVING_QUESTIONS
    mine = (table.c.collection == collection) & (table.c.serving == serving)
    with open_records(location) as engine, reading(engine) as connection:
        return {str(one) for one in connection.execute(sa.select(table.c.question).where(mine)).scalars()}


def servings_of_questions(location: Location, collection: str, questions: Iterable[str]) -> list[int]:
    """Servings that were tuned with any of these questions (ids), the oldest first."""
    if not _exists(location):
        return []
    found: set[int] = set()
    table = SERVING_QUESTIONS
    with open_records(location) as engine, reading(engine) as connection:
        for part in slices(list(questions)):
            mine = (table.c.collection == collection) & table.c.question.in_(part)
            found |= {
                int(one) for one in connection.execute(sa.select(table.c.serving).where(mine)).scalars()
            }
    return sorted(found)


# --- looks -------------------------------------------------------------------------------------------------


def seen_questions(location: Location, collection: str) -> set[str]:
    """Ids of the questions that any look has seen."""
    if not _exists(location):
        return set()
    with open_records(location) as engine, reading(engine) as connection:
        return set(_seen(connection, collection))


def _seen(connection: sa.Connection, collection: str) -> dict[str, int]:
    """Question id → the last epoch in which it was seen."""
    table = LOOK_QUESTIONS
    last = sa.select(table.c.question, sa.func.max(table.c.epoch)).where(table.c.collection == collection)
    return {str(one): int(epoch) for one, epoch in connection.execute(last.group_by(table.c.question))}


def take_look(
    location: Location,
    collection: str,
    questions: Sequence[str],
    *,
    baseline: int,
    candidate: int,
    cross_fitted: bool,
    who: str = "",
) -> tuple[Look, list[str]]:
    """Writes a look down before anything is measured. Returns it, and the questions (ids) that it is to be
    made with: all, or only those that no look has seen if these make a test of their own, see `FRESH`.

    Two at once get two numbers. What was taken is spent, whatever happens to its process.
    """
    with open_records(location) as engine, writing(engine) as connection:
        seen = _seen(connection, collection)
        unseen = [one for one in questions if one not in seen]
        known = len(questions) - len(unseen)
        last = connection.scalar(
            sa.select(sa.func.max(LOOKS.c.epoch)).where(LOOKS.c.collection == collection)
        )
        fresh = not known or (len(unseen) >= FRESH and len(unseen) >= known)
        epoch = (last or 0) + 1 if fresh else max(seen[one] for one in questions if one in seen)
        tested = unseen if fresh else list(questions)
        mine = (LOOKS.c.collection == collection) & (LOOKS.c.epoch == epoch)
        number = (connection.scalar(sa.select(sa.func.max(LOOKS.c.number)).where(mine)) or 0) + 1
        values = {
            "collection": collection,
            "at": time.time(),
            "who": who,
            "epoch": epoch,
            "number": number,
            "alpha": alpha_of_look(number),
            "baseline": baseline,
            "candidate": candidate,
            "questions": len(tested),
            "cross_fitted": cross_fitted,
        }
        row = connection.execute(LOOKS.insert().values(values).returning(LOOKS)).one()
        rows = [{"collection": collection, "question": one, "epoch": epoch} for one in set(tested)]
        connection.execute(dialect_of(connection).insert_new(LOOK_QUESTIONS), rows)
        return _read(Look, row), tested


def finish_look(location: Location, look: Look, p: float, verdict: str, report: dict[str, Any]) -> Look:
    """Adds the result to a look."""
    change = sa.update(LOOKS).where(LOOKS.c.id == look.id).values(p=p, verdict=verdict, report=report)
    with open_records(location) as engine, writing(engine) as connection:
        return _read(Look, connection.execute(change.returning(LOOKS)).one())


def read_looks(location: Location, collection: str) -> list[Look]:
    """The ledger of a collection (its uuid), the oldest first."""
    return _read_all(location, Look, collection)


# --- trials ------------------------------------------------------------------------------------------------


def begin_trial(location: Location, collection: str, live: int, candidate: int, who: str = "") -> TrialRow:
    """Notes that a trial begins. One that still seemed to go on is noted as stopped."""
    now = time.time()
    open_ones = (TRIALS.c.collection == collection) & TRIALS.c.ended.is_(None)
    values = {
        "collection": collection,
        "started": now,
        "who": who,
        "live": live,
        "candidate": candidate,
        "ended_by": "",
    }
    with open_records(location) as engine, writing(engine) as connection:
        connection.execute(
            sa.update(TRIALS).where(open_ones).values(ended=now, ended_by=who, outcome="stopped")
        )
        return _read(TrialRow, connection.execute(TRIALS.insert().values(values).returning(TRIALS)).one())


def read_trials(location: Location, collection: str) -> list[TrialRow]:
    """Every trial of a collection (its uuid), the oldest first."""
    return _read_all(location, TrialRow, collection)


def latest_trial(location: Location, collection: str) -> TrialRow | None:
    """The last trial of a collection, going on or not."""
    trials = read_trials(location, collection)
    return trials[-1] if trials else None


def finish_trial(
    location: Location, trial: TrialRow, outcome: str, report: dict[str, Any], who: str = ""
) -> TrialRow | None:
    """Notes how a trial ended; None if somebody else has noted an end already."""
    mine = (TRIALS.c.id == trial.id) & TRIALS.c.ended.is_(None)
    change = sa.update(TRIALS).where(mine)
    change = change.values(ended=time.time(), ended_by=who, outcome=outcome, report=report)
    with open_records(location) as engine, writing(engine) as connection:
        row = connection.execute(change.returning(TRIALS)).one_or_none()
    return None if row is None else _read(TrialRow, row)
