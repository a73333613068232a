"""Beginning, going on with and ending a bulk load.

The plan is in the catalog before anything is read, and stays there until all of it is stored: a load that
was killed goes on with the same plan. Each start writes a new token, so that processes that are left over
from an earlier one are refused.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection

from indexing import faults
from indexing.bulk.pieces import BulkSource, Done, ShardPlan
from indexing.bulk.report import BadShard, LoadReport, read_notes
from indexing.catalog.collections import drop_loads
from indexing.catalog.database import reading, writing
from indexing.catalog.loads import (
    BAD,
    DONE,
    OPEN,
    WAITING,
    LoadInfo,
    ShardInfo,
    add_shards,
    count_load,
    create_load,
    has_token,
    loads_of,
    not_done,
    notes_of_shards,
    open_load,
    pieces_beyond,
    shards_of,
    take_load,
)
from indexing.errors import LoadTaken
from indexing.session import Session
from indexing.writing.add import Adding
from indexing.writing.report import AddReport
from stlib.runtime import EncoderProtocol

__all__ = [
    "Load",
    "Told",
    "abandon",
    "all_shards",
    "begin",
    "denied_files",
    "done_of",
    "finish",
    "forget_plan",
    "load_taken",
    "piece_documents_for",
    "plan_of",
    "report_of",
    "shards_to_do",
    "unfinished",
    "unstored",
]

STATIC_DOCUMENTS = 512
"""Of a piece, for models that embed thousands of texts a second: a commit takes as long as some hundreds."""
DOCUMENTS = 32
"""Of a piece, for other models: about a second of work, so that little is lost with a process."""

_PLANNED_AT_ONCE = 200
_MOST_BAD = 1_000


@dataclass(frozen=True)
class Load:
    """One start of a load: what its processes are handed, as plain values.

    Attributes:
        token: of this start. Writers come with it, and are refused once there is another one.
        generation: that was live when it started; what is embedded is of it.
        piece_documents: as planned.
        first_seq: the collection's last change before the load began.
        resumed: whether the plan was there already.
        others: changes that are not of the load, though made since it began: those with numbers after the
            first, up to the second of each two.
    """

    id: int
    token: str
    generation: int
    piece_documents: int
    first_seq: int
    resumed: bool = False
    others: tuple[tuple[int, int], ...] = ()

    def to_row(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Load:
        others = tuple((int(first), int(last)) for first, last in row["others"])
        return cls(**{**row, "others": others})


Told = Callable[[LoadReport], None]
"""Told how far a load is before anything is read: what it raises ends it, and the plan is made anew."""


def piece_documents_for(encoder: EncoderProtocol) -> int:
    """How many documents are embedded and stored at once: less are lost with a process, more cost less."""
    return STATIC_DOCUMENTS if getattr(encoder, "is_static", False) else DOCUMENTS


def begin(
    session: Session,
    source: BulkSource,
    piece_documents: int,
    *,
    restart: bool = False,
    told: Told = lambda _: None,
) -> Load:
    """Goes on with the unfinished load of the same source, or plans one. With `restart` the plan that there
    is is thrown away; what it has stored stays, and is found unchanged. The caller holds the lock of the
    documents for as long as the load runs. `told` is called while it plans, and while it looks whether the
    source changed.

    Raises:
        BadInput: the source cannot be read, or changed since it was planned: it names what changed.
    """
    identity = json.loads(json.dumps(source.identity))
    known = [one for one in unfinished(session) if one.identity == identity]
    usable = [one for one in known if one.state == OPEN and not restart]
    with writing(session.database) as connection:
        session.row(connection)
        for one in known:
            if one not in usable:
                drop_loads(connection, session.id, one.id)
    if usable:
        return _resume(session, source, usable[-1], told)
    return _plan(session, source, identity, piece_documents, told)


def _resume(session: Session, source: BulkSource, info: LoadInfo, told: Told) -> Load:
    token = uuid.uuid4().hex
    live = session.live()
    load = Load(info.id, token, live.generation.id, info.piece_documents, info.first_seq, resumed=True)
    source.check(_to_check(session, load, told))
    with writing(session.database) as connection:
        others = take_load(connection, info, token, session.row(connection).last_seq)
        faults.point("load.taking")
    faults.point("load.taken")
    return replace(load, others=tuple((first, last) for first, last in others))


def _to_check(session: Session, load: Load, told: Told) -> Iterator[ShardPlan]:
    with reading(session.database) as connection:
        report = _read_report(connection, load)
    for state in (WAITING, BAD):
        for shard in _plans(session, load, state):
            told(report)
            yield shard


def _plan(
    session: Session, source: BulkSource, identity: dict[str, Any], piece_documents: int, told: Told
) -> Load:
    token = uuid.uuid4().hex
    live = session.live()
    first_seq = live.state.last_seq
    with writing(session.database) as connection:
        session.row(connection)
        number = create_load(connection, session.id, identity, token, piece_documents, first_seq)
    faults.point("load.planning")
    planned = 0
    for part in _portions(source.plan(piece_documents)):
        with writing(session.database) as connection:
            add_shards(connection, number, [(one.number, one.kind, one.spec) for one in part])
        planned += len(part)
        told(LoadReport(shards=planned))
    with writing(session.database) as connection:
        open_load(connection, number)
    faults.point("load.planned")
    return Load(number, token, live.generation.id, piece_documents, first_seq)


def _portions(shards: Iterable[ShardPlan]) -> Iterator[list[ShardPlan]]:
    portion: list[ShardPlan] = []
    for shard in shards:
        portion.append(shard)
        if len(portion) >= _PLANNED_AT_ONCE:
            yield portion
            portion = []
    yield portion


def unfinished(session: Session) -> list[LoadInfo]:
    """The loads of a collection that were begun and not finished, the oldest first."""
    with session.looking() as (connection, _):
        return loads_of(connection, session.id)


def shards_to_do(session: Session, load: Load) -> Iterator[tuple[ShardPlan, Done]]:
    """The shards that are not done, in order, with the pieces of each that are stored. Some are held at a
    time, so there may be millions. One that turns out bad on the way is not met again.
    """
    for shard, beyond in _shards(session, load, WAITING):
        yield plan_of(shard), done_of(shard, beyond)


def done_of(shard: ShardInfo, beyond: Iterable[int]) -> Done:
    """Which pieces of a shard are stored."""
    return Done(shard.stored, frozenset(beyond), shard.digest)


def _plans(session: Session, load: Load, state: str) -> Iterator[ShardPlan]:
    return (plan_of(shard) for shard, _ in _shards(session, load, state))


def plan_of(shard: ShardInfo) -> ShardPlan:
    """A shard as planned."""
    return ShardPlan(shard.number, shard.kind, shard.spec)


def _shards(session: Session, load: Load, state: str | None) -> Iterator[tuple[ShardInfo, list[int]]]:
    after = -1
    while True:
        with reading(session.database) as connection:
            shards = shards_of(connection, load.id, state, after)
            beyond = pieces_beyond(connection, [shard.id for shard in shards])
        if not shards:
            return
        after = shards[-1].number
        yield from ((shard, beyond.get(shard.id, [])) for shard in shards)


def report_of(session: Session, load: Load, *, whole: bool = True) -> LoadReport:
    """How far a load is, all of its starts together. Unless it is `whole` it has counts alone: which parts
    are bad, and what was skipped and noted, is read of every shard that there is.

    Raises:
        LoadTaken: it was started again, given up or finished.
    """
    with reading(session.database) as connection:
        if not has_token(connection, load.id, load.token):
            raise load_taken(session)
        return _read_report(connection, load, whole=whole)


def _read_report(connection: Connection, load: Load, *, whole: bool = False) -> LoadReport:
    counts = count_load(connection, load.id)
    bad = shards_of(connection, load.id, BAD, -1, _MOST_BAD) if whole else []
    noted = notes_of_shards(connection, load.id, -1, _MOST_BAD) if whole else []
    added = AddReport()
    vars(added).update(counts.documents)
    read_notes(added, [seen for _, seen in noted])
    return LoadReport(
        added,
        sum(counts.shards.values()),
        counts.shards.get(DONE, 0),
        [BadShard(one.number, one.reason or "", one.spec) for one in bad],
        counts.shards.get(BAD, 0),
        resumed=load.resumed,
    )


def all_shards(session: Session, load: Load) -> Iterator[ShardPlan]:
    """The whole plan, shard by shard."""
    return (plan_of(shard) for shard, _ in _shards(session, load, None))


def unstored(session: Session, load: Load) -> set[int]:
    """Numbers of the shards of which anything is missing."""
    with reading(session.database) as connection:
        return not_done(connection, load.id)


def denied_files(session: Session, load: Load) -> Iterator[int]:
    """Numbers of files of which documents were erased before, and stayed out."""
    after = -1
    while True:
        with reading(session.database) as connection:
            noted = notes_of_shards(connection, load.id, after)
        if not noted:
            return
        after = noted[-1][0]
        yield from (int(file_id) for _, seen in noted for file_id in seen.get("denied", {}))


def finish(session: Session, load: Load, adding: Adding) -> LoadReport:
    """Lets everything follow that depends on documents, as an `add` does at its end. The plan stays until
    `forget_plan`; if not all of it is stored, the next start goes on with it.
    """
    report = report_of(session, load)
    adding.note(report.added, load.first_seq)
    adding.let_others_follow(report.added, most=None)
    adding.finish(report.added)
    report.finished = report.done == report.shards
    faults.point("load.finishing")
    return report


def forget_plan(session: Session, load: Load) -> None:
    """Ends a load of which everything is stored."""
    with writing(session.database) as connection:
        if not has_token(connection, load.id, load.token):
            raise load_taken(session)
        drop_loads(connection, session.id, load.id)
    faults.point("load.finished")


def abandon(session: Session, info: LoadInfo) -> None:
    """Gives up a load. What it has stored stays; processes that are still at it are refused."""
    with writing(session.database) as connection:
        session.row(connection)
        drop_loads(connection, session.id, info.id)


def load_taken(session: Session) -> LoadTaken:
    """The error of who comes with an old token."""
    return LoadTaken(
        f"the bulk load into collection {session.name!r} was started again by another process, given up or"
        " finished: this one stops, and nothing is lost"
    )
