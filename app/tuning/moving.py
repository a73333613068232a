"""The records of tuning of a collection, in another place."""

from __future__ import annotations

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

__all__ = ["copy_records"]

# Columns that name a serving.
_SERVINGS = ("candidate", "baseline", "live", "serving")


def copy_records(source: Location, target: Location, original: str, uuid: str, servings: int) -> None:
    """Writes what was tuned, tested and tried with the collection `original` (its uuid) at `source` into
    `target`, as of `uuid`; `servings` is by how much the numbers of servings are larger there. What is there
    already stays, and is not added again.

    Raises:
        StorageError: a database is damaged, or cannot be written; nothing was.
    """
    if not is_there(tuning_database(source)):
        return
    records: list[tuple[sa.Table, list[dict[str, Any]]]] = [
        (RUNS, [asdict(one) for one in read_runs(source, original)]),
        (LOOKS, [asdict(one) for one in read_looks(source, original)]),
        (TRIALS, [asdict(one) for one in read_trials(source, original)]),
    ]
    with open_records(source) as engine, reading(engine) as connection:
        records += [
            (table, _questions(connection, table, original)) for table in (LOOK_QUESTIONS, SERVING_QUESTIONS)
        ]
    if not any(rows for _, rows in records):
        return
    with open_records(target) as engine, writing(engine) as connection:
        for table, rows in records:
            moved = [_moved(row, uuid, servings) for row in rows]
            there = [
                {name: value for name, value in row.items() if name != "id"}
                for row in connection.execute(sa.select(table).where(table.c.collection == uuid)).mappings()
            ]
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


def _key(table: sa.Table, row: dict[str, Any]) -> tuple[Any, ...]:
    """By what a record is told from others of its collection."""
    names = {RUNS: ("at", "lever"), LOOKS: ("epoch", "number"), TRIALS: ("started", "candidate")}
    keys = names.get(table) or tuple(column.name for column in table.primary_key.columns)
    return tuple(row[name] for name in keys)
