"""Numbers of rows that people and other processes remember: none is given twice, even if its row is gone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from indexing.catalog.schema import Counter

__all__ = ["take_number"]


def take_number(connection: Connection, table: Any) -> int:
    """The next `id` for a row of `table`. A database by itself would give the number of a dropped last row
    again, and a history, a cache or a file would take the new row for the old one.
    """
    kind = table.__tablename__
    last = connection.scalar(
        update(Counter).where(Counter.kind == kind).values(last=Counter.last + 1).returning(Counter.last)
    )
    if last is None:  # the first of this kind since catalogs count them
        last = (connection.scalar(select(func.max(table.id))) or 0) + 1
        connection.execute(insert(Counter).values(kind=kind, last=last))
    return int(last)
