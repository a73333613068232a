"""Giving documents other ids: a file that was renamed, a row that comes on another line.

A document keeps its key, and with it its passages, its codes and its place in every index: ids are looked up
here alone. Only its hashes, which cover the id, are made anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from indexing.catalog.collections import now
from indexing.catalog.hashing import hash_metadata, hash_text
from indexing.catalog.log import slices
from indexing.catalog.schema import DOCUMENTS, Artifact, DocumentRow, Renamed

__all__ = ["Move", "move_documents", "present_ids", "renames_after"]


_MOST_RENAMES = 100
"""Of one document that are followed: past that it is taken for another."""


@dataclass(frozen=True)
class Move:
    """What a document is called from now on: the first of `ids` that no other document keeps."""

    ids: tuple[str, ...]
    origin: str | None


def move_documents(
    connection: Connection,
    collection_id: int,
    moves: Mapping[int, Move],
    yielding: Iterable[int] = (),
    leaving: Iterable[int] = (),
) -> list[tuple[str, str]]:
    """Renames documents by key; returns (old id, new id) of those that have another one now.

    Those of `yielding`, and marks of deleted documents, that hold a wanted id make room: they get a free id
    that begins with theirs. So do those of `leaving` in any case: a document to come has their name.
    """
    left = [key for key in leaving if key not in moves]
    if not moves and not left:
        return []
    old = _ids_of(connection, moves)
    chosen = _choose(connection, collection_id, moves, set(yielding))
    taken = _keys_of(connection, collection_id, chosen.values())
    making_room = {key: id_ for id_, key in taken.items() if key not in chosen} | _ids_of(connection, left)
    used = set(chosen.values())
    aside = {key: _free_id(connection, collection_id, id_, used) for key, id_ in making_room.items()}
    old |= making_room
    target = {**chosen, **aside}
    changed = {key: id_ for key, id_ in target.items() if old[key] != id_}
    # In two steps, as each wants a name that another one has until then.
    _set_ids(connection, {key: f"{old[key]}\x1f{key}" for key in changed})
    _set_ids(connection, changed)
    _set_hashes(connection, changed)
    _set_origins(connection, {key: move.origin for key, move in moves.items()})
    # Where a document came from is one's alone too.
    origins = _origins_of(connection, aside)
    _set_origins(
        connection, {k: origins[k] + id_[len(old[k]) :] for k, id_ in aside.items() if origins.get(k)}
    )
    there = set(_holders(connection, collection_id, changed.values()).values())
    renames = [(old[key], id_) for key, id_ in changed.items() if key in there]
    _record(connection, collection_id, renames)
    return renames


def _record(connection: Connection, collection_id: int, renames: list[tuple[str, str]]) -> None:
    if not renames:
        return
    last = connection.scalar(select(func.max(Renamed.batch))) or 0
    same = {"collection_id": collection_id, "batch": last + 1, "at": now()}
    rows = [{**same, "old_id": before, "new_id": after} for before, after in renames]
    connection.execute(insert(Renamed), rows)


def renames_after(connection: Connection, collection_id: int, last: int) -> list[tuple[int, str, str, str]]:
    """(batch, old id, new id, time) of what was renamed after the batch `last`, in order; those of one batch
    were renamed at once.
    """
    statement = (
        select(Renamed.batch, Renamed.old_id, Renamed.new_id, Renamed.at)
        .where(Renamed.collection_id == collection_id, Renamed.batch > last)
        .order_by(Renamed.id)
    )
    return [(*row,) for row in connection.execute(statement)]


def present_ids(
    connection: Connection, collection_id: int, ids: Iterable[str], artifact: str
) -> dict[str, str]:
    """id → what the document is called now, for ids that were written down when `artifact` was made."""
    since = (
        select(Artifact.created_at)
        .where(Artifact.collection_id == collection_id, Artifact.fingerprint == artifact)
        .scalar_subquery()
    )
    present = {id_: id_ for id_ in ids}
    reached = dict.fromkeys(present, 0)  # the batch of the last rename that was followed
    for _ in range(_MOST_RENAMES):
        moved = False
        for part in slices(sorted(set(present.values()))):
            rows = connection.execute(
                select(Renamed.batch, Renamed.old_id, Renamed.new_id)
                .where(Renamed.collection_id == collection_id, Renamed.old_id.in_(part), Renamed.at >= since)
                .order_by(Renamed.id)
            ).all()
            for id_, at in list(present.items()):
                step = next((row for row in rows if row[1] == at and row[0] > reached[id_]), None)
                if step is not None:
                    reached[id_], present[id_], moved = step[0], step[2], True
        if not moved:
            break
    return present


def _choose(
    connection: Connection, collection_id: int, moves: Mapping[int, Move], yielding: set[int]
) -> dict[int, str]:
    """key → the first of its ids that is free, or that somebody makes room for."""
    chosen: dict[int, str] = {}
    waiting = {key: list(move.ids) for key, move in moves.items()}
    while waiting:
        wanted = {key: ids.pop(0) for key, ids in waiting.items()}
        holders = _holders(connection, collection_id, wanted.values())
        used = set(chosen.values())
        for key, id_ in wanted.items():
            holder = holders.get(id_)
            stays = holder is not None and holder not in moves and holder not in yielding
            last = not waiting[key]
            if id_ not in used and (not stays or last):
                chosen[key] = id_
                used.add(id_)
                del waiting[key]
            elif last:
                chosen[key] = _free_id(connection, collection_id, id_, used)
                used.add(chosen[key])
                del waiting[key]
    return chosen


def _free_id(connection: Connection, collection_id: int, id_: str, taken: set[str]) -> str:
    number = 2
    while True:
        candidate = f"{id_}~{number}"
        if candidate not in taken and not _keys_of(connection, collection_id, [candidate]):
            taken.add(candidate)
            return candidate
        number += 1


def _holders(connection: Connection, collection_id: int, ids: Iterable[str]) -> dict[str, int]:
    """id → key of the documents that are there under it."""
    return _keys(connection, collection_id, ids, DocumentRow.deleted.is_(False))


def _keys_of(connection: Connection, collection_id: int, ids: Iterable[str]) -> dict[str, int]:
    """id → key of its row, be the document deleted or not."""
    return _keys(connection, collection_id, ids)


def _keys(connection: Connection, collection_id: int, ids: Iterable[str], *more: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in slices(ids):
        statement = select(DocumentRow.id, DocumentRow.key).where(
            DocumentRow.collection_id == collection_id,
            DocumentRow.id.in_(part),
            *more,  # type: ignore[arg-type]  # a condition
        )
        found.update((row[0], row[1]) for row in connection.execute(statement))
    return found


def _ids_of(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in slices(keys):
        statement = select(DocumentRow.key, DocumentRow.id).where(DocumentRow.key.in_(part))
        found.update((row[0], row[1]) for row in connection.execute(statement))
    return found


def _origins_of(connection: Connection, keys: Iterable[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for part in slices(keys):
        statement = select(DocumentRow.key, DocumentRow.origin).where(DocumentRow.key.in_(part))
        found.update((row[0], row[1] or "") for row in connection.execute(statement))
    return found


def _set_ids(connection: Connection, id_of_key: Mapping[int, str]) -> None:
    if id_of_key:
        statement = update(DOCUMENTS).where(DOCUMENTS.c.key == bindparam("the_key"))
        rows = [{"the_key": key, "the_id": id_} for key, id_ in id_of_key.items()]
        connection.execute(statement.values(id=bindparam("the_id")), rows)


def _set_origins(connection: Connection, origin_of_key: Mapping[int, str | None]) -> None:
    statement = update(DOCUMENTS).where(DOCUMENTS.c.key == bindparam("the_key"))
    rows = [{"the_key": key, "the_origin": origin} for key, origin in origin_of_key.items()]
    if rows:
        connection.execute(statement.values(origin=bindparam("the_origin")), rows)


def _set_hashes(connection: Connection, keys: Iterable[int]) -> None:
    columns = (DocumentRow.key, DocumentRow.id, DocumentRow.title, DocumentRow.text, DocumentRow.meta)
    statement = update(DOCUMENTS).where(DOCUMENTS.c.key == bindparam("the_key"))
    values: dict[str, Any] = {"hash": bindparam("the_hash"), "metadata_hash": bindparam("the_metadata_hash")}
    for part in slices(keys, 200):
        found = connection.execute(select(*columns).where(DocumentRow.key.in_(part), ~DocumentRow.deleted))
        rows = [
            {
                "the_key": key,
                "the_hash": hash_text(id_, title, text),
                "the_metadata_hash": hash_metadata(id_, metadata),
            }
            for key, id_, title, text, metadata in found
        ]
        if rows:
            connection.execute(statement.values(values), rows)
