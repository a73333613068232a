"""Which tables of pgvector serve their generations, and how far they have followed: one row each, in a table
beside them.

A table that is made anew gets a number that no other had, and serves from the moment when its row here says
so; the older one is dropped after that. Who had begun to read it meets `CorruptView`, and begins again.

None of this is part of the catalog's schema: it is made when the first table is, and can be dropped at any
time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from sqlalchemy import Connection, Engine, exc, text

from indexing.catalog.database import map_errors, reading
from indexing.errors import LockedError, StorageError
from indexing.names import DEFAULT_ENGINE, SERVER_ENGINES
from indexing.vectors.vector_table import table_name

__all__ = [
    "TableState",
    "changing_tables",
    "drop_tables",
    "drop_unused",
    "followed_changes",
    "has_tables",
    "keep_generation",
    "make_states",
    "new_number",
    "read_state",
    "usable_engine",
    "write_state",
]

_TABLE = "pgvector_view"
# Advisory locks of pgvector's tables: this and the number of a generation, 0 for all tables together.
_LOCKS = 0x70677665


class TableState(NamedTuple):
    """The table `number` of a generation has followed it up to `change`; `made_of` says of what collection,
    model and codec its rows are, `graph` whether there is one over them.
    """

    made_of: str
    change: int
    graph: bool
    number: int


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
    """A transaction that alone changes the tables of a generation, and sees the catalog at one moment, after
    everybody who did so before.

    Raises:
        LockedError: another one does, in this process or in any other.
    """
    given = {"kind": _LOCKS, "id": generation_id % 2**31}
    with map_errors(database), database.connect() as connection:
        connection = connection.execution_options(isolation_level="REPEATABLE READ")
        # Of the session: one of the transaction would be taken after the moment that it sees.
        with connection.begin():
            taken = connection.scalar(text("SELECT pg_try_advisory_lock(:kind, :id)"), given)
        if not taken:
            raise LockedError(
                f"pgvector's table of generation {generation_id} is being written by another process"
            )
        try:
            with connection.begin():
                yield connection
        finally:
            _unlock(connection, given)


def _unlock(connection: Connection, given: dict[str, int]) -> None:
    """With a connection that is gone the server lets go of the lock."""
    if connection.invalidated:
        return
    try:
        with connection.begin():
            connection.execute(text("SELECT pg_advisory_unlock(:kind, :id)"), given)
    except exc.DBAPIError:
        connection.invalidate()


def keep_generation(connection: Connection, generation_id: int) -> None:
    """Lets nobody delete the generation before the transaction ends, who would not see the table it makes.

    Raises:
        LockedError, StorageError: somebody has deleted it.
    """
    statement = text("SELECT id FROM generation WHERE id = :id FOR KEY SHARE")
    if connection.scalar(statement, {"id": generation_id}) is None:
        raise StorageError(f"generation {generation_id} was deleted meanwhile")


def new_number(connection: Connection) -> int:
    """For a table that this transaction makes; no other transaction of the database gets it."""
    return int(connection.scalar(text("SELECT pg_current_xact_id()::text::bigint")) or 0)


def read_state(connection: Connection, generation_id: int) -> TableState | None:
    """None where there is no table, or nothing is known of it."""
    if not _has_states(connection):
        return None
    row = connection.execute(
        text(f"SELECT made_of, change, graph, number FROM {_TABLE} WHERE generation_id = :id"),  # noqa: S608
        {"id": generation_id},
    ).one_or_none()
    if row is None:
        return None
    state = TableState(row[0], int(row[1]), bool(row[2]), int(row[3]))
    there = text("SELECT to_regclass(:name) IS NOT NULL")
    return state if connection.scalar(there, {"name": table_name(generation_id, state.number)}) else None


def write_state(connection: Connection, generation_id: int, state: TableState) -> None:
    connection.execute(
        text(
            f"INSERT INTO {_TABLE} (generation_id, made_of, change, graph, number)"  # noqa: S608
            " VALUES (:id, :made_of, :change, :graph, :number) ON CONFLICT (generation_id) DO UPDATE SET"
            " made_of = excluded.made_of, change = excluded.change, graph = excluded.graph,"
            " number = excluded.number"
        ),
        {"id": generation_id, **state._asdict()},
    )


def make_states(connection: Connection) -> None:
    """Makes the table that this is kept in, where there is none."""
    if _has_states(connection):
        return
    # Two that make it at once would get in each other's way in spite of IF NOT EXISTS.
    connection.execute(text("SELECT pg_advisory_xact_lock(:kind, 0)"), {"kind": _LOCKS})
    if _has_states(connection):
        return
    connection.execute(text(f"DROP TABLE IF EXISTS {_TABLE}"))  # of a form that knew no numbers
    connection.execute(
        text(
            f"CREATE TABLE {_TABLE} (generation_id bigint PRIMARY KEY, made_of text NOT NULL,"
            " change bigint NOT NULL, graph boolean NOT NULL, number bigint NOT NULL)"
        )
    )


def followed_changes(connection: Connection, generation_ids: Iterable[int]) -> dict[int, int]:
    """Of those generations that have a table, the change it has followed to."""
    states = {id_: read_state(connection, id_) for id_ in generation_ids}
    return {id_: state.change for id_, state in states.items() if state is not None}


def drop_tables(connection: Connection, generation_ids: Iterable[int]) -> None:
    """Removes all tables of these generations, and what is known of them; most have none."""
    known = _has_states(connection)
    for id_ in generation_ids:
        for name in _tables_of(connection, id_):
            connection.execute(text(f"DROP TABLE IF EXISTS {name}"))
        if known:
            connection.execute(text(f"DELETE FROM {_TABLE} WHERE generation_id = :id"), {"id": id_})  # noqa: S608


def drop_unused(database: Engine, generation_id: int, *, seconds: int) -> None:
    """Removes the tables of a generation that do not serve it any more, waiting for those who read them.

    Raises:
        LockedError: somebody reads one for longer than `seconds`, or another process changes them.
    """
    with reading(database) as connection:
        if len(_tables_of(connection, generation_id)) < 2:
            return
    with changing_tables(database, generation_id) as connection:
        state = read_state(connection, generation_id)
        kept = None if state is None else table_name(generation_id, state.number)
        connection.execute(text(f"SET LOCAL lock_timeout = '{int(seconds)}s'"))
        for name in _tables_of(connection, generation_id):
            if name != kept:
                connection.execute(text(f"DROP TABLE IF EXISTS {name}"))


def _tables_of(connection: Connection, generation_id: int) -> list[str]:
    pattern = f"^{table_name(generation_id)}(_[0-9]+)?$"
    statement = (
        "SELECT relname FROM pg_class WHERE relname ~ :pattern AND relkind = 'r' AND pg_table_is_visible(oid)"
        " ORDER BY oid"
    )
    return list(connection.scalars(text(statement), {"pattern": pattern}))


def _has_states(connection: Connection) -> bool:
    statement = "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(:name) AND attname = 'number'"
    return bool(connection.scalar(text(statement), {"name": _TABLE}))
