"""Many rows: handed to the driver as they are, as the toolkit would look at every value of each; and read
some at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Table

from indexing.catalog.dialect import dialect_of

__all__ = ["insert_rows", "stream_rows"]


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Inserts `rows`, whose values are in the order of `columns` and of types that the driver takes."""
    if rows:
        dialect_of(connection).insert_rows(connection, table, columns, rows)


def stream_rows(connection: Connection, statement: Any, rows: int) -> Iterator[Any]:
    """The rows of a statement, of which `rows` are held at once; whoever stops early leaves nothing open."""
    with connection.execute(statement, execution_options={"yield_per": rows}) as result:
        yield from result
