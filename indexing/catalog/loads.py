"""Bulk loads that are under way, as the catalog has them: plans, and which pieces are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import BigInteger, Connection, Table, delete, func, insert, select, update
from sqlalchemy import cast as sql_cast

from indexing.catalog.collections import now
from indexing.catalog.log import slices
from indexing.catalog.schema import Load, LoadPiece, LoadShard

__all__ = [
    "BAD",
    "COUNTS",
    "DONE",
    "OPEN",
    "PLANNING",
    "SHARD_STATES",
    "WAITING",
    "LoadCounts",
    "LoadInfo",
    "Passed",
    "ShardInfo",
    "add_piece",
    "add_shards",
    "count_load",
    "create_load",
    "find_shard",
    "has_piece",
    "has_token",
    "has_writers",
    "loads_of",
    "not_done",
    "notes_of_shards",
    "open_load",
    "pass_pieces",
    "pieces_beyond",
    "reset_shard",
    "revoke_loads",
    "set_bad",
    "shards_of",
    "take_load",
    "update_shard",
]

PLANNING, OPEN = "planning", "open"
WAITING, DONE, BAD = "waiting", "done", "bad"
SHARD_STATES = (WAITING, DONE, BAD)
COUNTS = (
    "received",
    "added",
    "updated",
    "unchanged",
    "duplicates",
    "renamed",
    "moved",
    "skipped",
    "denied",
    "chunks",
    "clipped",
)
"""What is counted of a shard's documents, as in the report of one `add`."""

_LOADS, _SHARDS, _PIECES = (cast(Table, row.__table__) for row in (Load, LoadShard, LoadPiece))
_READ_AT_ONCE = 100


@dataclass(frozen=True)
class LoadInfo:
    """A row of `load`, see `indexing.catalog.schema.Load`."""

    id: int
    token: str
    state: str
    identity: dict[str, Any]
    piece_documents: int
    first_seq: int
    begun_at: str
    ended_seq: int | None
    others: dict[str, Any] | None


@dataclass(frozen=True)
class ShardInfo:
    """A row of `load_shard`, but for its counts."""

    id: int
    number: int
    kind: str
    state: str
    reason: str | None
    stored: int
    pieces: int | None
    digest: str
    seen: dict[str, Any] | None
    spec: dict[str, Any]


@dataclass(frozen=True)
class LoadCounts:
    """Sums over the shards of a load: of `COUNTS`, and how many shards are in which state."""

    documents: dict[str, int] = field(default_factory=dict)
    shards: dict[str, int] = field(default_factory=dict)


# --- plans -------------------------------------------------------------------------------------------------


def loads_of(connection: Connection, collection_id: int) -> list[LoadInfo]:
    """Those that are not finished, the oldest first."""
    columns = [getattr(Load, name) for name in LoadInfo.__dataclass_fields__]
    rows = connection.execute(select(*columns).where(Load.collection_id == collection_id).order_by(Load.id))
    return [LoadInfo(*row) for row in rows]


def create_load(
    connection: Connection,
    collection_id: int,
    identity: dict[str, Any],
    token: str,
    piece_documents: int,
    first_seq: int,
) -> int:
    """The id of a new load, whose shards are to come."""
    row = {
        "collection_id": collection_id,
        "token": token,
        "state": PLANNING,
        "identity": identity,
        "piece_documents": piece_documents,
        "first_seq": first_seq,
        "begun_at": now(),
    }
    connection.execute(insert(Load), row)
    mine = (Load.collection_id == collection_id, Load.token == token)
    return connection.execute(select(Load.id).where(*mine)).scalar_one()


def add_shards(
    connection: Connection, load_id: int, shards: Sequence[tuple[int, str, dict[str, Any]]]
) -> None:
    """Adds (number, kind, spec) of shards to the plan of a load."""
    nothing = {"state": WAITING, "stored": 0, "digest": "", **dict.fromkeys(COUNTS, 0)}
    rows = [
        {"load_id": load_id, "number": number, "kind": kind, "spec": spec, **nothing}
        for number, kind, spec in shards
    ]
    if rows:
        connection.execute(insert(_SHARDS), rows)


def open_load(connection: Connection, load_id: int) -> None:
    """Its plan is complete."""
    connection.execute(update(_LOADS).where(_LOADS.c.id == load_id).values(state=OPEN))


def take_load(connection: Connection, info: LoadInfo, token: str, last_seq: int) -> list[list[int]]:
    """It goes on under another token, and shards that could not be read are tried again. Returns the numbers
    of changes that were made by others since it began: after the first, up to the second of each two.
    """
    load_id = info.id
    others = list((info.others or {}).get("ranges", []))
    if info.ended_seq is not None and info.ended_seq < last_seq:
        others.append([info.ended_seq, last_seq])
    mine = update(_LOADS).where(_LOADS.c.id == load_id)
    connection.execute(mine.values(token=token, ended_seq=None, others={"ranges": others}))
    bad = update(_SHARDS).where(_SHARDS.c.load_id == load_id, _SHARDS.c.state == BAD)
    connection.execute(bad.values(state=WAITING, reason=None))
    return others


def revoke_loads(connection: Connection, collection_id: int, last_seq: int) -> None:
    """Writers that are left over from loads whose driver is gone may not write any more. What has a number
    behind `last_seq`, the collection's last one, is not of them.
    """
    mine = update(_LOADS).where(_LOADS.c.collection_id == collection_id, _LOADS.c.token != "")
    connection.execute(mine.values(token="", ended_seq=last_seq))


def has_writers(connection: Connection, collection_id: int) -> bool:
    """Whether a load has a token that a writer may come with."""
    mine = select(Load.id).where(Load.collection_id == collection_id, Load.token != "").limit(1)
    return connection.scalar(mine) is not None


def shards_of(
    connection: Connection, load_id: int, state: str | None, after: int, limit: int = _READ_AT_ONCE
) -> list[ShardInfo]:
    """Shards in a state, or all, the first behind the number `after`."""
    statement = _select_shards().where(LoadShard.load_id == load_id, LoadShard.number > after)
    if state is not None:
        statement = statement.where(LoadShard.state == state)
    statement = statement.order_by(LoadShard.number).limit(limit)
    return [ShardInfo(*row) for row in connection.execute(statement)]


def notes_of_shards(
    connection: Connection, load_id: int, after: int, limit: int = _READ_AT_ONCE
) -> list[tuple[int, dict[str, Any]]]:
    """(number, what was noted) of shards that gave cause for it, the first behind the number `after`."""
    statement = (
        select(LoadShard.number, LoadShard.seen)
        .where(LoadShard.load_id == load_id, LoadShard.number > after, LoadShard.seen.is_not(None))
        .order_by(LoadShard.number)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in connection.execute(statement)]


def not_done(connection: Connection, load_id: int) -> set[int]:
    """Numbers of the shards that are not stored whole."""
    mine = (LoadShard.load_id == load_id, LoadShard.state != DONE)
    return set(connection.scalars(select(LoadShard.number).where(*mine)))


def count_load(connection: Connection, load_id: int) -> LoadCounts:
    """Sums over all shards of a load."""
    of = _SHARDS.c.load_id == load_id
    sums = connection.execute(select(*(_sum(name) for name in COUNTS)).where(of)).one()
    states = connection.execute(
        select(_SHARDS.c.state, func.count()).where(of).group_by(_SHARDS.c.state)
    ).all()
    documents = {name: int(value or 0) for name, value in zip(COUNTS, sums, strict=True)}
    return LoadCounts(documents, {str(state): int(count) for state, count in states})


def _sum(name: str) -> Any:
    """Of a column; a server sums whole numbers up to decimals."""
    return sql_cast(func.sum(_SHARDS.c[name]), BigInteger)


def _select_shards() -> Any:
    return select(*(getattr(LoadShard, name) for name in ShardInfo.__dataclass_fields__))


# --- pieces ------------------------------------------------------------------------------------------------


def has_token(connection: Connection, load_id: int, token: str) -> bool:
    """Whether a load is there and goes on under this very token."""
    return connection.scalar(select(Load.token).where(Load.id == load_id)) == token


def find_shard(connection: Connection, load_id: int, number: int, *, lock: bool) -> ShardInfo | None:
    """A shard; with `lock` nobody else changes it until the transaction ends."""
    statement = _select_shards().where(LoadShard.load_id == load_id, LoadShard.number == number)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    return None if row is None else ShardInfo(*row)


def has_piece(connection: Connection, shard: ShardInfo, number: int) -> bool:
    """Whether a piece is stored."""
    one = select(LoadPiece.number).where(LoadPiece.shard_id == shard.id, LoadPiece.number == number)
    return number < shard.stored or connection.scalar(one) is not None


def pieces_beyond(connection: Connection, shard_ids: Sequence[int]) -> dict[int, list[int]]:
    """Numbers of pieces that are stored beyond one that is not, by the id of their shard."""
    found: dict[int, list[int]] = {}
    for part in slices(shard_ids):
        rows = connection.execute(
            select(LoadPiece.shard_id, LoadPiece.number).where(LoadPiece.shard_id.in_(part))
        )
        for shard_id, number in rows:
            found.setdefault(shard_id, []).append(number)
    return found


def add_piece(
    connection: Connection,
    shard: ShardInfo,
    number: int,
    digests: tuple[str, str],
    files: dict[str, Any] | None,
) -> None:
    """A piece is stored; two rows of one there cannot be. `digests` are those before and with it."""
    row = {"shard_id": shard.id, "number": number, "before": digests[0], "digest": digests[1], "files": files}
    connection.execute(insert(LoadPiece), row)


@dataclass(frozen=True)
class Passed:
    """How many pieces of a shard are stored from the first one on without a gap, the digest with them, and
    the files of those that were not counted so far. `torn` if the next one was read after others than these.
    """

    stored: int
    digest: str
    files: list[dict[str, Any]]
    torn: bool


def pass_pieces(connection: Connection, shard: ShardInfo) -> Passed:
    """Counts the pieces that follow those that are counted. Their rows are deleted: the number says the same.
    Where the next one does not follow, as the source was read in another way, those beyond are deleted too:
    they are to be read again.
    """
    stored, digest, torn = shard.stored, shard.digest, False
    files = []
    mine = LoadPiece.shard_id == shard.id
    columns = (LoadPiece.number, LoadPiece.before, LoadPiece.digest, LoadPiece.files)
    for number, before, after, of_piece in connection.execute(
        select(*columns).where(mine).order_by(LoadPiece.number)
    ).all():
        if number != stored:
            break
        if before != digest:
            torn = True
            break
        stored, digest = stored + 1, after
        if of_piece is not None:
            files.append(of_piece)
    passed = delete(LoadPiece).where(mine)
    connection.execute(passed if torn else passed.where(LoadPiece.number < stored))
    return Passed(stored, digest, files, torn)


def reset_shard(connection: Connection, shard: ShardInfo, seen: dict[str, Any]) -> None:
    """None of its pieces counts as stored any more; of its documents nothing changes."""
    connection.execute(delete(LoadPiece).where(LoadPiece.shard_id == shard.id))
    nothing = {"stored": 0, "pieces": None, "digest": "", "seen": seen, **dict.fromkeys(COUNTS, 0)}
    connection.execute(update(_SHARDS).where(_SHARDS.c.id == shard.id).values(**nothing))


def update_shard(
    connection: Connection, shard: ShardInfo, counts: dict[str, int], values: dict[str, Any]
) -> None:
    """Adds to the counts of a shard, and sets other columns."""
    more = {name: _SHARDS.c[name] + count for name, count in counts.items() if count}
    connection.execute(update(_SHARDS).where(_SHARDS.c.id == shard.id).values(**more, **values))


def set_bad(connection: Connection, load_id: int, number: int, reason: str) -> None:
    """A shard cannot be read to its end; what is stored of it stays. One that is stored whole is done: it was
    read to its end before.
    """
    one = update(_SHARDS).where(_SHARDS.c.load_id == load_id, _SHARDS.c.number == number)
    connection.execute(one.where(_SHARDS.c.state != DONE).values(state=BAD, reason=reason))
