"""How far the tables of pgvector have followed their generations: one row each, in a table beside them.

None of this is part of the catalog's schema: it is made when the first table is, and can be dropped at any
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from indexing.catalog.database import map_errors
from indexing.errors import LockedError
from indexing.names import DEFAULT_ENGINE, SERVER_ENGINES
from indexing.vectors.vector_table import table_name

__all__ = [
    "TableState",
    "changing_tables",
    "drop_tables",
    "followed_changes",
    "has_tables",
    "make_states",
    "read_state",
    "usable_engine",
    "write_state",
]

_TABLE = "pgvector_view"
# Advisory locks of pgvector's tables: this and the number of a generation, 0 for all tables together.
_LOCKS = 0x70677665


class TableState(NamedTuple):
    """A table has followed its generation up to `change`; `made_of` says of what collection, model and codec
    its rows are, `graph` whether there is one over them.
    """

    made_of: str
    change: int
    graph: bool


def has_tables(database: Engine) -> bool:
    """Whether the catalog lies where there can be any."""
    return database.dialect.name == "postgresql"


def usable_engine(engine: str, database: Engine) -> str:
    """What stands for a serving's engine: the usual one where that is a server's and the catalog, which may
    have been copied from one, lies in a file.
    """
    return DEFAULT_ENGINE if engine in SERVER_ENGINES and not has_tables(database) else engine


@contextmanager
def changing_tables(database: Engine, generation_id: int) -> Iterator[Connection]:
    """A transaction that alone changes the table of a generation.

    Raises:
        LockedError: another one does, in this process or in any other.
    """
    lock = text("SELECT pg_try_advisory_xact_lock(:kind, :id)")
    with map_errors(database), database.connect() as connection, connection.begin():
        if not connection.scalar(lock, {"kind": _LOCKS, "id": generation_id % 2**31}):
            raise LockedError(
                f"pgvector's table of generation {generation_id} is being written by another process"
            )
        yield connection


def read_state(connection: Connection, generation_id: int) -> TableState | None:
    """None where there is no table, or nothing is known of it."""
    if not _has_states(connection):
        return None
    row = connection.execute(
        text(
            f"SELECT made_of, change, graph FROM {_TABLE}"  # noqa: S608
            " WHERE generation_id = :id AND to_regclass(:name) IS NOT NULL"
        ),
        {"id": generation_id, "name": table_name(generation_id)},
    ).one_or_none()
    return None if row is None else TableState(row[0], int(row[1]), bool(row[2]))


def write_state(connection: Connection, generation_id: int, state: TableState) -> None:
    connection.execute(
        text(
            f"INSERT INTO {_TABLE} (generation_id, made_of, change, graph)"  # noqa: S608
            " VALUES (:id, :made_of, :change, :graph) ON CONFLICT (generation_id) DO UPDATE"
            " SET made_of = excluded.made_of, change = excluded.change, graph = excluded.graph"
        ),
        {"id": generation_id, **state._asdict()},
    )


def make_states(connection: Connection) -> None:
    """Makes the table that this is kept in, where there is none."""
    if _has_states(connection):
        return
    # Two that make it at once would get in each other's way in spite of IF NOT EXISTS.
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": _LOCKS})
    connection.execute(
        text(
            f"CREATE TABLE IF NOT EXISTS {_TABLE} (generation_id bigint PRIMARY KEY, made_of text NOT NULL,"
            " change bigint NOT NULL, graph boolean NOT NULL)"
        )
    )


def followed_changes(connection: Connection, generation_ids: Iterable[int]) -> dict[int, int]:
    """Of those generations that have a table, the change it has followed to."""
    states = {id_: read_state(connection, id_) for id_ in generation_ids}
    return {id_: state.change for id_, state in states.items() if state is not None}


def drop_tables(connection: Connection, generation_ids: Iterable[int]) -> None:
    """Removes the tables of these generations, and what is known of them; most have none."""
    if not _has_states(connection):
        return
    for id_ in generation_ids:
        connection.execute(text(f"DROP TABLE IF EXISTS {table_name(id_)}"))
        connection.execute(text(f"DELETE FROM {_TABLE} WHERE generation_id = :id"), {"id": id_})  # noqa: S608


def _has_states(connection: Connection) -> bool:
    return bool(connection.scalar(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": _TABLE}))
