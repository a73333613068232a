"""All that is peculiar to PostgreSQL: connections, transactions, locks, errors, rows in bulk.

One database holds the catalogs of many collections and the tables of the app. A transaction that writes
takes an advisory lock of its scope first (a collection, or the tables of one kind), so that writers follow
each other as they do on SQLite, and commit order equals the order of numbers. Who holds a lock for longer
than a transaction (`WriterLock`) writes on the connection that holds it: with the connection, lock and
transaction are lost at once.
"""

from __future__ import annotations

import atexit
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast
from weakref import WeakSet

from sqlalchemy import Connection, Engine, Table, create_engine, event, exc, func, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from indexing.catalog.forked import empty_before_forks
from indexing.catalog.schema import Base
from indexing.errors import BadInput, ConnectionLost, DiskFull, IndexingError, LockedError, StorageError
from indexing.storage import forks
from indexing.storage.files import describe_holder
from indexing.storage.paths import ServerDatabase
from stlib.extras import require
from stlib.util.forks import ThreadLock

__all__ = [
    "COMPARES_FILTERS",
    "NUMBERS_WHILE_OTHERS_WRITE",
    "OUT_OF_REACH",
    "POOL_VARIABLE",
    "WriterLock",
    "close_pools",
    "exists",
    "file_bytes",
    "find_damage",
    "find_wrong_types",
    "free_bytes",
    "identity",
    "insert_new",
    "insert_or_replace",
    "insert_rows",
    "is_in_log",
    "lock_schema",
    "map_error",
    "map_errors",
    "open_database",
    "read_version",
    "reading",
    "require_space",
    "reserve_numbers",
    "scrub",
    "set_version",
    "translated",
    "vacuum",
    "writing",
]

POOL_VARIABLE = "STLIB_DB_POOL"
"""How many connections to one database a process may hold; each search, write or job takes one meanwhile."""

COMPARES_FILTERS = False
"""Whether the database compares as filters do; it has no function for normal forms and dates of ours."""

_USUAL_POOL = 16
_WAIT_SECONDS = 10  # for a lock or a connection; a writer holds its lock for one batch, well under a second
_SCOPE = "stlib_scope"
_ADDRESS = "stlib_address"
_COPIED_ROWS = 5  # from here on COPY is faster than INSERT

_engines: dict[str, Engine] = {}
_opening = ThreadLock()


def open_database(address: ServerDatabase, *, create: bool = False, scope: str = "") -> Engine:
    """An engine on a database that there is; all of a process share its connections.

    Raises:
        StorageError: the URL cannot be understood; nothing is connected to yet.
        MissingDependency: the driver is missing.
    """
    with _opening:
        engine = _engines.get(address.url)
        if engine is None:
            engine = _engines[address.url] = _make_engine(address)
        scoped = cast(Engine, engine.execution_options(**{_SCOPE: scope, _ADDRESS: address}))
    # Others use the pool too: it is emptied by `close_pools` and before forks.
    scoped.dispose = lambda close=True: None  # type: ignore[method-assign]
    return scoped


def _make_engine(address: ServerDatabase) -> Engine:
    require("psycopg", "postgres")
    most = _pool_size()
    try:
        url = make_url(address.url).set(drivername="postgresql+psycopg")
        engine = create_engine(
            url,
            poolclass=QueuePool,
            pool_size=min(most, 8),
            max_overflow=max(0, most - 8),
            pool_timeout=_WAIT_SECONDS,
            pool_pre_ping=True,  # a server that was restarted costs nobody an error who asks after it is back
            connect_args=_settings(dict(url.query)),
        )
    except (exc.ArgumentError, ValueError) as error:
        raise StorageError(f"database {str(address)!r}: use postgresql://user@host:5432/name") from error
    event.listen(engine, "do_connect", _open_connection)
    event.listen(engine, "connect", _configure)
    empty_before_forks(engine)
    return engine


def _pool_size() -> int:
    given = os.environ.get(POOL_VARIABLE)
    if given is None:
        return _USUAL_POOL
    if not given.isdigit() or int(given) < 2:
        raise StorageError(f"{POOL_VARIABLE} is {given!r}: use a whole number of connections, 2 or more")
    return int(given)


def _settings(query: dict[str, Any]) -> dict[str, Any]:
    """Of a connection, but what the URL says itself."""
    settings = {
        "connect_timeout": _WAIT_SECONDS,
        "client_encoding": "utf8",
        "keepalives_idle": 30,  # a server that vanished is noticed within a minute
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    ours = f"-c lock_timeout={_WAIT_SECONDS}s -c idle_in_transaction_session_timeout=15min"
    given = query.get("options")
    settings["options"] = f"{ours} {given}" if given else ours
    return {name: value for name, value in settings.items() if name == "options" or name not in query}


_connections: WeakSet[Any] = WeakSet()


def _open_connection(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
    options.setdefault("application_name", f"stlib {os.getpid()}@{socket.gethostname()}"[:63])
    connection = dialect.connect(*arguments, **options)
    _connections.add(connection)
    return connection


def _configure(connection: Any, _record: Any) -> None:
    """Checks what the promises rest on: text of any language, and a commit that is on the disk."""
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StorageError(
            f"database {connection.info.dbname!r} has the encoding {encoding}: make one with"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.commit()


class _Inherited:
    """Connections that a child process inherits: nothing that it does may reach the server over them."""

    def before_fork(self) -> None:
        """Nothing: the parent goes on with them."""

    def after_fork(self, in_child: bool) -> None:
        if in_child:
            nothing = os.open(os.devnull, os.O_RDWR)
            for connection in list(_connections):
                with suppress(Exception):
                    os.dup2(nothing, connection.fileno())
            os.close(nothing)
            _connections.clear()
            _held.stacks = {}


_inherited = _Inherited()
forks.watch(_inherited)


def close_pools() -> None:
    """Ends the idle connections of this process, which are kept for whoever opens a collection next."""
    with _opening:
        while _engines:
            _engines.popitem()[1].dispose()


atexit.register(close_pools)


# --- transactions ------------------------------------------------------------------------------------------


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent view of the database."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        connection = connection.execution_options(**options)
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that holds the lock of its scope from its first statement; on the connection of the lock
    that this thread holds for longer, if it holds one.
    """
    held = _held.of(_scope_of(engine))
    if held:
        with _writing_on(held[-1], engine) as connection:
            yield connection
    else:
        with engine.connect() as connection, _writing_on(connection, engine):
            yield connection


@contextmanager
def _writing_on(connection: Connection, engine: Engine) -> Iterator[Connection]:
    if connection.invalidated or connection.closed:
        raise _lost(_address_of(engine))
    with connection.begin():
        connection.execute(select(func.pg_advisory_xact_lock(_number(*_scope_of(engine)))))
        yield connection


def _scope_of(engine: Engine) -> tuple[str, str]:
    options = engine.get_execution_options()
    return str(engine.url), str(options.get(_SCOPE, ""))


def _address_of(engine: Engine) -> object:
    return engine.get_execution_options().get(_ADDRESS) or engine.url


def _number(*names: str) -> int:
    """The number of an advisory lock, of 64 bits with a sign; locks belong to one database."""
    digest = hashlib.blake2b("\0".join(("stlib", *names[1:])).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class _Held(threading.local):
    """The connections on which this thread holds locks, by scope, the newest last."""

    def __init__(self) -> None:
        self.stacks: dict[tuple[str, str], list[Connection]] = {}

    def of(self, scope: tuple[str, str]) -> list[Connection]:
        return self.stacks.setdefault(scope, [])


_held = _Held()


class WriterLock:
    """At most one holder among all processes and hosts, taken without waiting, and released by the server
    when the connection of its holder ends. What the thread that took it writes meanwhile goes over that
    connection.
    """

    def __init__(self, engine: Engine, name: str, what: str) -> None:
        """`what` the lock protects, as a person calls it."""
        self._engine = engine
        self._name = name
        self._what = what
        self._connection: Connection | None = None
        self._pid = 0

    def acquire(self) -> WriterLock:
        """Takes the lock now.

        Raises:
            LockedError: another one holds it. ConnectionLost, StorageError: the server cannot be reached.
        """
        if self._connection is not None:
            raise LockedError(f"{self._what} is held by this very object already")
        scope = _scope_of(self._engine)
        number = _number(*scope, self._name)
        with map_errors(self._engine):
            connection = self._engine.connect()
            try:
                with connection.begin():
                    taken = connection.scalar(select(func.pg_try_advisory_lock(number)))
                    holder = None if taken else _holder(connection, number)
            except BaseException:
                _end(connection)  # it may hold the lock, and the next one to use it would not know
                raise
        if not taken:
            connection.close()
            holder = describe_holder(holder or "another process")
            raise LockedError(f"{self._what} is being written by {holder}")
        self._connection, self._pid = connection, os.getpid()
        _held.of(scope).append(connection)
        return self

    def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None or self._pid != os.getpid():
            return
        scope = _scope_of(self._engine)
        with suppress(ValueError):
            _held.of(scope).remove(connection)
        try:
            if not connection.invalidated:
                with connection.begin():
                    connection.execute(select(func.pg_advisory_unlock(_number(*scope, self._name))))
        except exc.DBAPIError:
            _end(connection)  # with it the server lets go of the lock
        except BaseException:
            _end(connection)
            raise
        connection.close()

    def __enter__(self) -> WriterLock:
        return self if self._connection is not None else self.acquire()

    def __exit__(self, *_error: object) -> None:
        self.release()


def _end(connection: Connection) -> None:
    """Closes the connection itself: what it holds is given back by the server."""
    with suppress(exc.SQLAlchemyError):
        connection.invalidate()
    connection.close()


def _holder(connection: Connection, number: int) -> str | None:
    """Who holds an advisory lock, as their connection is called."""
    low, high = number & 0xFFFFFFFF, (number >> 32) & 0xFFFFFFFF
    found = connection.scalar(
        text(
            "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
            " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
            " AND l.classid::bigint = :high AND l.objid::bigint = :low LIMIT 1"
        ),
        {"high": high, "low": low},
    )
    words = str(found or "").removeprefix("stlib ").partition("@")
    return f"process {words[0]} on {words[2]}" if words[2] else (str(found) if found else None)


# --- errors ------------------------------------------------------------------------------------------------


@contextmanager
def map_errors(engine: Engine) -> Iterator[None]:
    """Turns the driver's errors into ours."""
    try:
        yield
    except exc.NoResultFound as error:
        raise StorageError(
            f"{_address_of(engine)} is damaged: a row that belongs there is missing; restore it from a backup"
        ) from error
    except exc.TimeoutError as error:
        raise LockedError(
            f"all {_pool_size()} connections to {_address_of(engine)} are in use: try again, or let this"
            f" process have more with {POOL_VARIABLE}"
        ) from error
    except exc.DBAPIError as error:
        raise map_error(error.orig, _address_of(engine), lost=error.connection_invalidated) from error


_LOCKS = ("55P03", "40P01", "40001")  # a lock timed out, a deadlock, two that cannot be put in order
_DAMAGE = ("XX001", "XX002", "42P01", "42703")  # data or index corrupted, a table or column that is gone
# A state's beginning, and words of the message: before there is a connection the driver knows no state.
_REMEDIES = {
    ("53300", "too many clients"): "it has no connection left: let its max_connections be more",
    ("28", "authentication failed"): "it refuses this user: check name and password",
    ("3D000", " does not exist"): "make the database first, with createdb",
    ("42501", "permission denied"): "this user may not do that: grant it the rights on the schema",
    ("25006", "read-only"): "it can only be read: give the address of the primary server",
}
_GONE = ("57P01", "57P02", "57P03")  # shut down, crashed, starting up


def map_error(error: BaseException | None, where: object, *, lost: bool = False) -> IndexingError:
    """Our error for one of the driver's, by its SQLSTATE (appendix A of PostgreSQL's documentation)."""
    import psycopg

    state = getattr(error, "sqlstate", None) or ""
    said = " ".join(str(error).split()) or type(error).__name__
    if lost or state in _GONE or state.startswith("08"):
        return _lost(where, said)
    if state in _LOCKS:
        return LockedError(f"{where} is being written by another process; try again when it has finished")
    if state == "53100":
        return DiskFull(
            f"no space left on the disk of {where}; what was committed is kept. Free some and run again"
        )
    if state.startswith("54"):
        return BadInput(f"this is more than the database takes at once ({said}): make the filter shorter")
    if state in _DAMAGE:
        return StorageError(f"{where} is damaged or no catalog ({said}); restore it from a backup")
    for (beginning, words), remedy in _REMEDIES.items():
        if state.startswith(beginning) if state else words in said:
            return StorageError(f"{where} cannot be used ({said}): {remedy}")
    if not state and not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return BadInput(f"{where} does not take this ({said})")
    if not state:
        return ConnectionLost(f"{where} cannot be reached ({said}): start it, or check the address")
    return StorageError(f"{where}: {said}")


def _lost(where: object, said: str = "") -> ConnectionLost:
    why = f" ({said})" if said else ""
    return ConnectionLost(
        f"the connection to {where} was lost{why}; what was acknowledged is stored, and what was being"
        " written is stored whole or not at all: run it again"
    )


# --- statements --------------------------------------------------------------------------------------------


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


@contextmanager
def translated(connection: Connection) -> Iterator[None]:
    """What goes past SQLAlchemy: its errors are those of the driver."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        lost = bool(connection.connection.driver_connection.closed)  # type: ignore[union-attr]
        if lost:
            connection.invalidate()
        raise map_error(error, _address_of(connection.engine), lost=lost) from error


NUMBERS_WHILE_OTHERS_WRITE = True
"""Whether others take numbers of rows while a transaction writes."""


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


def lock_schema(connection: Connection) -> None:
    """Held to the end of the transaction: of those who would make or change tables, one does."""
    connection.execute(select(func.pg_advisory_xact_lock(_number("", "schema"))))


_VERSIONS = "stlib_version"


def read_version(connection: Connection, name: str) -> int:
    """The number that tables without migrations carry as their version; 0 where there are none."""
    if not inspect(connection).has_table(_VERSIONS):
        return 0
    found = connection.scalar(text(f"SELECT version FROM {_VERSIONS} WHERE name = :name"), {"name": name})  # noqa: S608
    return int(found or 0)


def set_version(connection: Connection, name: str, version: int) -> None:
    connection.execute(
        text(f"CREATE TABLE IF NOT EXISTS {_VERSIONS} (name text PRIMARY KEY, version bigint NOT NULL)")
    )
    connection.execute(
        text(
            f"INSERT INTO {_VERSIONS} (name, version) VALUES (:name, :version)"  # noqa: S608
            " ON CONFLICT (name) DO UPDATE SET version = excluded.version"
        ),
        {"name": name, "version": version},
    )


# --- the database as a whole -------------------------------------------------------------------------------


def exists(address: ServerDatabase) -> bool:
    """Whether there is a catalog in the database.

    Raises:
        ConnectionLost, StorageError: the database cannot be reached.
    """
    engine = open_database(address)
    with map_errors(engine), engine.connect() as connection:
        return bool(connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL")))


def identity(address: ServerDatabase) -> tuple[int, int] | None:
    """Changes when a database was dropped and another one made in its place; None if there is no catalog."""
    engine = open_database(address)
    with map_errors(engine), engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT oid::bigint, to_regclass('alembic_version')::oid::bigint FROM pg_database"
                " WHERE datname = current_database()"
            )
        ).one()
    return None if row[1] is None else (int(row[0]), int(row[1]))


def file_bytes(engine: Engine, address: ServerDatabase) -> int:
    """Bytes that the tables of the database take with their indexes, those of all collections."""
    with reading(engine) as connection:
        return _table_bytes(connection)


def _table_bytes(connection: Connection) -> int:
    statement = (
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    )
    return int(connection.scalar(text(statement)) or 0)


def free_bytes(connection: Connection) -> tuple[int, int]:
    """Bytes that hold nothing, and bytes in all; the server itself uses again what is free."""
    return 0, _table_bytes(connection)


def require_space(address: ServerDatabase, needed: int) -> None:
    """The disk is the server's, and cannot be asked."""


def vacuum(engine: Engine) -> None:
    """Lets the server use the room of dead rows again, and forget what they held in its own time."""
    with map_errors(engine), engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        for name in inspect(connection).get_table_names():
            connection.execute(text(f"VACUUM {connection.dialect.identifier_preparer.quote(name)}"))


OUT_OF_REACH = (
    "the server's write-ahead log, its archive, replicas and backups, until they are overwritten",
    "the server's own log and statistics of statements, where it was set up to keep values in them",
    "indexes on other machines that share the database, until the next search there makes them anew",
    "what the disk, its snapshots or an SSD's spare blocks keep of files that were removed",
)
"""Where bytes of deleted rows may be that no statement reaches."""

_OLD_VIEW_SECONDS = 5.0  # a search or a batch looks at the database for well under a second


def scrub(engine: Engine, tables: Sequence[str] | None = None) -> str | None:
    """Writes tables (None: those of the catalogs) and their statistics anew without dead rows; why old bytes
    may still be in the server's files, or None.

    `VACUUM` alone frees the room of dead rows and leaves their bytes there. While a table is written anew
    nobody reads it: if it cannot be had within the usual waiting time, that is the reason that is returned.
    """
    whys = [_wait_for_old_views(engine)]
    names = [table.name for table in Base.metadata.sorted_tables] if tables is None else list(tables)
    try:
        with map_errors(engine), engine.connect() as connection:
            connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            quote = connection.dialect.identifier_preparer.quote
            left = [name for name in names if not _write_anew(connection, quote(name), "FULL, ANALYZE")]
            if left:
                whys.append(
                    f"this user may not write {', '.join(left)} anew: finish as the owner of the tables"
                )
            if not _write_anew(connection, "pg_catalog.pg_statistic", "FULL"):  # common values lie there
                whys.append(
                    "this user may not write the statistics anew: finish as the owner of the database"
                )
    except IndexingError as error:
        whys.append(str(error))
    return "; ".join(filter(None, whys)) or None


def _write_anew(connection: Connection, table: str, how: str) -> bool:
    """Whether the server did: to who may not it is a warning, and not an error."""
    file = select(func.pg_relation_filenode(func.to_regclass(table)))
    before = connection.scalar(file)
    connection.execute(text(f"VACUUM ({how}) {table}"))
    return connection.scalar(file) != before


# A row stays for as long as anybody may see it who began before it was deleted: a transaction, one that was
# prepared and left, a replica that tells what it still reads, a slot that is kept for one.
_OLD_VIEWS = """
SELECT 'transactions of others', count(*) FROM pg_stat_activity
WHERE (datname = current_database() OR datname IS NULL) AND pid <> pg_backend_pid()
  AND greatest(age(backend_xmin), age(backend_xid)) > {now}
UNION ALL
SELECT 'prepared transactions', count(*) FROM pg_prepared_xacts
WHERE database = current_database() AND age(transaction) > {now}
UNION ALL
SELECT 'replication slots', count(*) FROM pg_replication_slots
WHERE greatest(age(xmin), age(catalog_xmin)) > {now}
""".format(now="age((:now)::text::xid8::xid)")


def _wait_for_old_views(engine: Engine) -> str | None:
    """Who keeps deleted rows after a wait that is long enough for searches and batches; None: nobody."""
    deadline = time.monotonic() + _OLD_VIEW_SECONDS
    with map_errors(engine), engine.connect() as connection:
        with connection.begin():
            now = connection.scalar(text("SELECT pg_current_xact_id()::text::bigint"))
        while True:
            with connection.begin():
                rows = connection.execute(text(_OLD_VIEWS), {"now": now})
                found = [f"{count} {who}" for who, count in rows if count]
            if not found:
                return None
            if time.monotonic() > deadline:
                return f"{' and '.join(found)} began before it and still see the rows"
            time.sleep(0.05)


def is_in_log(engine: Engine) -> bool:
    """The log is the server's, which keeps it for as long as it was told."""
    return False


def find_damage(connection: Connection) -> list[str]:
    """Nothing: the server checks its pages itself, as far as it was set up to."""
    return []


def find_wrong_types(connection: Connection) -> list[str]:
    """Nothing: a column of the server holds values of its type alone."""
    return []
