"""All that is peculiar to SQLite: settings of a connection, checks of the file, giving space back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import Boolean, Column, Connection, Engine, Integer, String, Table, func, insert, select, text

from indexing.catalog.schema import Base
from indexing.catalog.types import StoredBigInteger, StoredBytes, StoredInteger, StoredJson
from indexing.normal_forms import normal_form
from indexing.search.filter_dates import instant_of
from indexing.search.filter_values import flat_json, like
from indexing.storage import files

__all__ = [
    "BUSY_MILLISECONDS",
    "COMPARES_FILTERS",
    "NUMBERS_WHILE_OTHERS_WRITE",
    "OUT_OF_REACH",
    "begin",
    "configure",
    "configure_reading",
    "copy_pages",
    "exists",
    "file_bytes",
    "find_damage",
    "find_foreign",
    "find_wrong_types",
    "flat_members",
    "form_of",
    "free_bytes",
    "identity",
    "insert_new",
    "insert_or_replace",
    "insert_rows",
    "is_in_log",
    "is_like",
    "lock_schema",
    "members",
    "moment_of",
    "read_version",
    "require_space",
    "reserve_numbers",
    "scrub",
    "set_version",
    "vacuum",
]

# A writer holds the database for one batch, well under a second; ten allow for a slow disk and stay bounded.
BUSY_MILLISECONDS = 10_000

COMPARES_FILTERS = True
"""Whether the database compares as filters do: by functions of this process."""

_PRAGMAS_FOR_ALL = (
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    "PRAGMA cache_size = -16384",  # 16 MiB
)

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",  # readers go on while a batch is written
    "PRAGMA synchronous = FULL",  # a commit is on the disk when it returns
    "PRAGMA secure_delete = ON",  # deleted text is overwritten
    "PRAGMA foreign_keys = ON",
    *_PRAGMAS_FOR_ALL,
)

_PRAGMAS_FOR_READING = ("PRAGMA query_only = ON", *_PRAGMAS_FOR_ALL)


def configure(connection: sqlite3.Connection, _record: Any) -> None:
    """For the engine's `connect` event: the settings that the promises of the catalog rest on."""
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
    _add_functions(connection)


def configure_reading(connection: sqlite3.Connection, _record: Any) -> None:
    """The same for a database that is only read."""
    connection.isolation_level = None
    for pragma in _PRAGMAS_FOR_READING:
        connection.execute(pragma)
    _add_functions(connection)


def begin(connection: Connection) -> None:
    """For the engine's `begin` event: a writer takes the lock with its first statement."""
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def find_damage(connection: Connection) -> list[str]:
    """What SQLite's own check of the file says; empty if nothing is wrong."""
    rows = connection.execute(text("PRAGMA integrity_check(10)")).scalars().all()
    return [] if rows == ["ok"] else [f"catalog: {row}" for row in rows]


def find_wrong_types(connection: Connection) -> list[str]:
    """Values of another type than their column's, and JSON that is no object: SQLite stores what it gets."""
    problems = []
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            name = f'"{column.name}"'
            wrong = f"typeof({name}) NOT IN ({_types_of(column)})"
            if isinstance(column.type, StoredJson) or (table.name, column.name) in _JSON_TEXTS:
                is_object = f"CASE WHEN json_valid({name}) THEN json_type({name}) = 'object' ELSE 0 END"
                wrong += f" OR {name} IS NOT NULL AND NOT {is_object}"
            # Names of tables and columns come from the schema in this package.
            statement = f'SELECT count(*) FROM "{table.name}" WHERE {wrong}'  # noqa: S608
            if count := connection.execute(text(statement)).scalar_one():
                problems.append(f"catalog: {count} rows of {table.name} have a {column.name} of a wrong type")
    return problems


# JSON that is kept as text, because it is compared or passed on as it is.
_JSON_TEXTS = {("document", "metadata"), ("generation", "codec")}


def _types_of(column: Column[Any]) -> str:
    """SQLite's names of the types that a column may hold."""
    kinds = {
        StoredInteger: "integer",
        StoredBigInteger: "integer",
        Boolean: "integer",
        StoredBytes: "blob",
    }
    name = next((name for kind, name in kinds.items() if isinstance(column.type, kind)), "text")
    return ", ".join(f"'{one}'" for one in [name, *(["null"] if column.nullable else [])])


def free_bytes(connection: Connection) -> tuple[int, int]:
    """Bytes of the file that hold nothing, and bytes of the file."""
    free, pages, size = (
        int(connection.execute(text(f"PRAGMA {name}")).scalar_one())
        for name in ("freelist_count", "page_count", "page_size")
    )
    return free * size, pages * size


def vacuum(engine: Engine) -> None:
    """Writes the file anew without what is free, and empties the write-ahead log into it.

    Raises what the driver raises: a writer holds the database, or there is no room for the copy.
    """
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("VACUUM").close()
    finally:
        connection.close()
    _empty_log(engine)


def _empty_log(engine: Engine) -> None:
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    finally:
        connection.close()


OUT_OF_REACH = ("what the disk, its snapshots or an SSD's spare blocks keep of what was overwritten",)
"""Where bytes of deleted rows may be that no statement reaches."""


def scrub(engine: Engine, tables: Sequence[str] | None = None) -> str | None:
    """Writes the database anew without what was deleted, whichever `tables` are meant, and empties the
    write-ahead log; why old bytes may still be in its files, or None.

    Deleted rows are overwritten when the log is written back (`secure_delete`), so that this alone is worth a
    try where there is no room for the copy. Raises nothing for what a later try may do.
    """
    why = None
    try:
        vacuum(engine)
    except sqlite3.OperationalError as error:
        why = str(error)
        with suppress(sqlite3.OperationalError):
            _empty_log(engine)
    if why is None and is_in_log(engine):
        why = "another process is reading it"
    return None if why is None else f"{engine.url.database} could not be written anew ({why})"


def is_in_log(engine: Engine) -> bool:
    """Whether something is still in the write-ahead log, after `vacuum`: a reader keeps it there."""
    log = Path(f"{engine.url.database}-wal")
    return log.exists() and log.stat().st_size > 0


_COPIED_PAGES = 2_048  # of 4 KiB: between two steps others get the processor, and progress is said


def copy_pages(engine: Engine, target: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Copies the whole database, as it is at this moment, to the new file `target`. It waits for no disk.

    Writers go on: what they write meanwhile stays in the write-ahead log until the end, as the pages that are
    yet to be copied must not change. Started without that (a step at a time, each with a look of its own) the
    copy would begin again after every commit. `progress` gets bytes that are copied, and all.

    Raises what the driver raises: there is no room, or the file cannot be made.
    """
    connection = engine.raw_connection()
    try:
        source = cast(sqlite3.Connection, connection.driver_connection)
        source.execute("BEGIN")
        try:
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on nothing changes
            _copy_pages(source, target, progress)
        finally:
            source.execute("ROLLBACK")
    finally:
        connection.close()


def _copy_pages(
    source: sqlite3.Connection, target: Path, progress: Callable[[int, int], None] | None
) -> None:
    size = int(source.execute("PRAGMA page_size").fetchone()[0])

    def tell(_status: int, remaining: int, total: int) -> None:
        if progress:
            progress((total - remaining) * size, total * size)

    with closing(sqlite3.connect(target)) as copy:
        # A copy that is not finished is thrown away: it needs no journal.
        copy.execute("PRAGMA journal_mode = OFF")
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy, pages=_COPIED_PAGES, progress=tell)


def find_foreign(connection: Connection) -> list[str]:
    """Names of what the schema holds and this package does not make: triggers and views would be run by our
    statements, virtual tables run code of their own.
    """
    rows = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master").all()
    foreign = []
    for kind, name, sql in rows:
        virtual = "VIRTUAL" in str(sql).upper().split()[:3] or "AS SELECT" in str(sql).upper()
        if kind not in ("table", "index") or virtual:
            foreign.append(f"{kind} {str(name)[:60]!r}")
    return foreign


def exists(catalog: Path) -> bool:
    """Whether there is a database: SQLite would make an empty one."""
    return catalog.is_file()


def identity(catalog: Path) -> tuple[int, int] | None:
    """Changes when a database was deleted and another one was made in its place; None if there is none."""
    try:
        status = catalog.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _add_functions(connection: sqlite3.Connection) -> None:
    """What filters compare by, for statements of this connection; nothing that is stored needs them."""
    connection.create_function("normal_form", 1, _form_of, deterministic=True)
    connection.create_function("instant_of", 1, _instant_of, deterministic=True)
    connection.create_function("is_like", 2, _is_like, deterministic=True)
    connection.create_function("flat_json", 1, flat_json, deterministic=True)


# The database may ask before it knows that a value is a text.


def _form_of(value: Any) -> str | None:
    return normal_form(value) if isinstance(value, str) else None


@lru_cache(maxsize=1_024)  # a comparison asks for it twice, and dates come in crowds
def _instant_of(value: Any) -> int | None:
    return instant_of(normal_form(value)) if isinstance(value, str) else None


def _is_like(value: Any, pattern: str) -> bool:
    return isinstance(value, str) and like(pattern).matches(normal_form(value))


def form_of(value: Any) -> Any:
    """The normal form of a text, for a statement."""
    return func.normal_form(value, type_=String)


def moment_of(value: Any) -> Any:
    """When a text that is a date begins, in microseconds since 1970; null for other texts."""
    return func.instant_of(value, type_=Integer)


def is_like(value: Any, pattern: str) -> Any:
    """Whether a text fits a pattern, see `indexing.search.filter_values.Like`."""
    return func.is_like(value, pattern) == 1


def flat_members(json: Any, name: str) -> Any:
    """`members` of metadata without objects in it, see `indexing.search.filter_values.flat`."""
    return members(func.flat_json(json), name)


def members(json: Any, name: str) -> Any:
    """One row per member of a JSON value, with columns key, value and type, for a statement."""
    return func.json_each(json).table_valued("key", "value", "type", name=name)


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: list[tuple[Any, ...]]
) -> None:
    """Inserts `rows`, whose values are in the order of `columns` and of types that the driver takes."""
    compiled = insert(table).compile(dialect=connection.dialect, column_keys=list(columns))
    if list(compiled.positiontup or ()) == list(columns):
        connection.exec_driver_sql(str(compiled), rows)
    else:
        connection.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])


NUMBERS_WHILE_OTHERS_WRITE = False
"""Whether others take numbers of rows while a transaction writes: of a file one writes at a time."""


def reserve_numbers(connection: Connection, table: Table, needed: int) -> int:
    """The number behind which the next `needed` ids of `table` are free, for as long as this transaction
    writes.
    """
    return int(connection.scalar(select(func.max(table.c.id))) or 0)


def insert_new(table: Table) -> Any:
    """A statement that adds rows and leaves those that are there as they are."""
    return table.insert().prefix_with("OR IGNORE")


def insert_or_replace(table: Table) -> Any:
    """A statement that adds rows, in place of those with the same primary key."""
    return table.insert().prefix_with("OR REPLACE")


def require_space(catalog: Path, needed: int) -> None:
    """
    Raises:
        DiskFull: the disk of the file has not so many bytes left.
    """
    files.require_space(catalog, needed)


def lock_schema(connection: Connection) -> None:
    """Nothing: who writes holds the whole file."""


def read_version(connection: Connection, name: str) -> int:
    """The number that a database without migrations carries as its version; 0 for a new one. A file holds
    tables of one `name`.
    """
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)


def set_version(connection: Connection, name: str, version: int) -> None:
    connection.exec_driver_sql(f"PRAGMA user_version = {version:d}")


def file_bytes(engine: Engine, catalog: Path) -> int:
    """Bytes of the database's own files on the disk."""
    return _sizes(Path(f"{catalog}{end}") for end in ("", "-wal", "-shm"))


def _sizes(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total
