"""The records of tuning of a collection, in another place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from app.settings import Location
from app.tuning.place import tuning_database
from app.tuning.runs import (
    LOOK_QUESTIONS,
    LOOKS,
    RUNS,
    SERVING_QUESTIONS,
    TRIALS,
    open_records,
    read_looks,
    read_runs,
    read_trials,
)
from indexing.catalog.database import reading, writing
from indexing.storage.paths import is_there

__all__ = ["Records", "add_records", "read_records"]

# Columns that name a serving.
_SERVINGS = ("candidate", "baseline", "live", "serving")


Records = Sequence[tuple[sa.Table, list[dict[str, Any]]]]
"""Rows by table, as they are of the original."""


def read_records(location: Location, collection: str) -> Records:
    """What was tuned, tested and tried with a collection (its uuid).

    Raises:
        StorageError: the database is damaged.
    """
    if not is_there(tuning_database(location)):
        return []
    records: list[tuple[sa.Table, list[dict[str, Any]]]] = [
        (RUNS, [asdict(one) for one in read_runs(location, collection)]),
        (LOOKS, [asdict(one) for one in read_looks(location, collection)]),
        (TRIALS, [asdict(one) for one in read_trials(location, collection)]),
    ]
    with open_records(location) as engine, reading(engine) as connection:
        for table in (LOOK_QUESTIONS, SERVING_QUESTIONS):
            records.append((table, _questions(connection, table, collection)))
    return records


def add_records(location: Location, records: Records, uuid: str, servings: int) -> None:
    """Writes them as of the collection `uuid`; `servings` is by how much the numbers of servings are larger
    there. What is there already stays, and is not added again.

    Raises:
        StorageError: the database cannot be written; nothing was.
    """
    if not any(rows for _, rows in records):
        return
    with open_records(location) as engine, writing(engine) as connection:
        for table, rows in records:
            moved = [_moved(row, uuid, servings) for row in rows]
            there = connection.execute(sa.select(table).where(table.c.collection == uuid)).mappings().all()
            known = {_key(table, row) for row in there}
            if new := [row for row in moved if _key(table, row) not in known]:
                connection.execute(table.insert(), new)


def _questions(connection: sa.Connection, table: sa.Table, uuid: str) -> list[dict[str, Any]]:
    rows = connection.execute(sa.select(table).where(table.c.collection == uuid)).mappings().all()
    for row in rows:
        number = row["epoch" if table is LOOK_QUESTIONS else "serving"]
        if type(row["question"]) is not str or type(number) is not int:
            raise ValueError("a question stands where it cannot")
    return [dict(row) for row in rows]


def _moved(row: dict[str, Any], uuid: str, servings: int) -> dict[str, Any]:
    named = {name: row[name] + servings for name in _SERVINGS if row.get(name) is not None}
    return {**{name: value for name, value in row.items() if name != "id"}, **named, "collection": uuid}


def _key(table: sa.Table, row: Mapping[Any, Any]) -> tuple[Any, ...]:
    """By what a record is told from others of its collection."""
    names = {RUNS: ("at", "lever"), LOOKS: ("epoch", "number"), TRIALS: ("started", "candidate")}
    keys = names.get(table) or tuple(column.name for column in table.primary_key.columns)
    return tuple(row[name] for name in keys)
