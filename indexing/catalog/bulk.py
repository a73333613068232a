"""Many rows at once, handed to the driver as they are: the toolkit would look at every value of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table

from indexing.catalog.dialect import dialect_of

__all__ = ["insert_rows"]


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Inserts `rows`, whose values are in the order of `columns` and of types that the driver takes."""
    if rows:
        dialect_of(connection).insert_rows(connection, table, columns, rows)
