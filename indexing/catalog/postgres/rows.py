"""Rows in bulk: by COPY, with numbers taken ahead, in place of others or beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, func, select, text

from indexing.catalog.postgres.errors import translated

__all__ = ["NUMBERS_WHILE_OTHERS_WRITE", "insert_new", "insert_or_replace", "insert_rows", "reserve_numbers"]

NUMBERS_WHILE_OTHERS_WRITE = True
"""Whether others take numbers of rows while a transaction writes."""

_COPIED_ROWS = 5  # from here on COPY is faster than INSERT


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Inserts `rows`, whose values are in the order of `columns`, by COPY."""
    if len(rows) < _COPIED_ROWS:
        connection.execute(table.insert(), [dict(zip(columns, row, strict=True)) for row in rows])
        return
    quote = connection.dialect.identifier_preparer.quote
    names = ", ".join(quote(name) for name in columns)
    driver = connection.connection.driver_connection
    assert driver is not None
    statement = f"COPY {quote(table.name)} ({names}) FROM STDIN"
    with translated(connection), driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def reserve_numbers(connection: Connection, table: Table, needed: int) -> int:
    """The number behind which the next `needed` ids of `table` are free, and stay so: nobody else gets them,
    whether this transaction is committed or not.
    """
    quoted = connection.dialect.identifier_preparer.quote(table.name)
    connection.execute(text(f"LOCK TABLE {quoted} IN SHARE ROW EXCLUSIVE MODE"))
    largest = int(connection.scalar(select(func.max(table.c.id))) or 0)
    sequence = connection.scalar(select(func.pg_get_serial_sequence(quoted, "id")))
    if sequence is None:
        return largest
    given = connection.scalar(text(f"SELECT last_value - (NOT is_called)::int FROM {sequence}"))  # noqa: S608
    largest = max(largest, int(given or 0))
    if largest + needed:
        connection.execute(select(func.setval(sequence, largest + needed)))
    return largest


def insert_new(table: Table) -> Any:
    """A statement that adds rows and leaves those that are there as they are."""
    return _insert(table).on_conflict_do_nothing()


def insert_or_replace(table: Table) -> Any:
    """A statement that adds rows, in place of those with the same primary key."""
    statement = _insert(table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=others)


def _insert(table: Table) -> Any:
    from sqlalchemy.dialects.postgresql import insert  # twenty milliseconds that SQLite need not pay

    return insert(table)
