"""The table of one generation's vectors at a PostgreSQL server with pgvector, and what is asked of it.

    pgvector_<generation>_<number>   key bigint (of a chunk), vector halfvec(d), or bit(d) for the binary
                                     precisions; a new number when it is made anew
    pgvector_view                    which of them serves a generation, and how far it has followed

A table is a view of the catalog in the same database: rows come and go in one transaction with the number of
the change that they were followed to. Codes are those of the catalog; the table has what its graph (HNSW) is
made of: decoded codes in half precision, or their signs. All traffic is binary, by records of one width that
NumPy reads.
"""

# ruff: noqa: S608 -- names of tables are made of numbers here, and everything else is bound

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Engine, text

from indexing.catalog.database import map_errors
from indexing.catalog.postgres import translated
from indexing.errors import BadInput, CorruptView, StorageError
from indexing.quantization import Codec

__all__ = [
    "AllowedKeys",
    "Found",
    "VectorTable",
    "asking",
    "check_limits",
    "read_chunk_keys",
    "require_extension",
    "table_name",
]

LEAST_VERSION = (0, 8)
"""Of pgvector: the first with iterative scans, without which a filter may leave a search empty-handed."""

MOST_DIMENSIONS = {"halfvec": 4_000, "bit": 64_000}
"""What a graph of pgvector takes."""

# A graph of pgvector is built several times as fast where it fits into memory; the server has to have that.
_GRAPH_BYTES_PER_ROW = 600
_LEAST_MEMORY, _MOST_MEMORY = 64 << 20, 1 << 30
# How many rows a graph looks for at once: steps, as changing it costs as long as a search.
_EFFORTS = (100, 200, 400, 1_000)
# Half precision has 11 bits: of the vectors and of the query each, the products of which add up to 1 at most.
_HALF_ERROR = 2.2 * 2.0**-11

# Other collections of the database take keys too. Where they lie farther apart than this on average, a list
# of the allowed ones takes less memory than a bit for each key of the range.
_MOST_BITS_PER_ROW = 32

_SET_UP = "pgvector"
_PREFIX = "pgvector_"

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"
_KEY = slice(6, 14)  # bytes of a row with its key: after the number of columns and the length of the first


class Found(NamedTuple):
    """Rows of a table: `keys` int64 [n] and `codes` [n, d] as the catalog has them, in no order. The table
    had `rows` of them, some of which the catalog may have removed since.
    """

    keys: np.ndarray
    codes: np.ndarray
    rows: int


class AllowedKeys(NamedTuple):
    """The keys a search may return: `first` and as many after it as there are `bits` (uint8, the first in the
    lowest bit), or `keys` (int64) where there are few in a wide range.
    """

    first: int
    bits: bytes
    keys: np.ndarray | None = None

    @classmethod
    def of(cls, offsets: np.ndarray, first: int, allowed: np.ndarray) -> AllowedKeys:
        """Of the rows whose keys are `offsets` (int64 [n]) after `first` those of the mask `allowed` [n]."""
        if int(offsets.max()) > _MOST_BITS_PER_ROW * len(offsets):
            return cls(first, b"", first + offsets[allowed])
        table = np.zeros(int(offsets.max()) + 1, bool)
        table[offsets] = allowed
        bits = np.packbits(table, bitorder="little").tobytes()
        return cls(first, bits)

    def condition(self) -> tuple[str, dict[str, Any]]:
        """In SQL, and its parameters."""
        if self.keys is not None:
            return " WHERE key = ANY(%(keys)s::bigint[])", {"keys": self.keys.tolist()}
        last = self.first + 8 * len(self.bits) - 1
        where = (
            " WHERE CASE WHEN key BETWEEN %(first)s AND %(last)s"
            " THEN get_bit(%(bits)s::bytea, key - %(first)s) = 1 ELSE false END"
        )
        return where, {"bits": self.bits, "first": self.first, "last": last}


def table_name(generation_id: int, number: int | None = None) -> str:
    """Of a generation's table with this number; what the names of all of them begin with if there is none."""
    return f"{_PREFIX}{int(generation_id)}" + ("" if number is None else f"_{int(number)}")


def check_limits(precision: str, dimension: int) -> None:
    """
    Raises:
        BadInput: pgvector has no graph for vectors of this dimension.
    """
    kind = "bit" if precision in ("binary", "ubinary") else "halfvec"
    if dimension > (most := MOST_DIMENSIONS[kind]):
        other = "" if kind == "bit" else f", or 'binary' for up to {MOST_DIMENSIONS['bit']:,}"
        raise BadInput(
            f"{dimension:,} dimensions in {precision!r} are more than pgvector indexes ({most:,}): use the"
            f" engine 'faiss'{other}"
        )


def require_extension(connection: Connection) -> None:
    """Adds pgvector to the database where it is missing.

    Raises:
        StorageError: the server has no pgvector, an older one, or this user may not add it.
    """
    found = connection.scalar(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'"))
    if found is None:
        found = _add_extension(connection)
    version = tuple(int(part) for part in str(found).split(".")[:2])
    if version < LEAST_VERSION:
        raise StorageError(
            f"pgvector {found} is too old: 0.8 or later is needed; install it at the server and run"
            " ALTER EXTENSION vector UPDATE"
        )


def _add_extension(connection: Connection) -> str:
    offered = text(
        "SELECT default_version, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
        " FROM pg_available_extensions WHERE name = 'vector'"
    )
    row = connection.execute(offered).one_or_none()
    if row is None:
        raise StorageError("the server has no pgvector: install it there, or use the engine 'faiss'")
    if not row[1]:
        raise StorageError(
            "the database has no pgvector, and this user may not add it: let an administrator run"
            " CREATE EXTENSION vector, or use the engine 'faiss'"
        )
    connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    return str(row[0])


class VectorTable:
    """A table of a generation whose codes are those of `codec`, in the table `codes` (key, code).

    Reading it raises `CorruptView` when it is gone, as one made anew has taken its place.
    """

    def __init__(self, generation_id: int, codec: Codec, codes: str = "code", *, number: int = 0) -> None:
        self.generation_id = int(generation_id)
        self.name = table_name(generation_id, number)
        self._graph = f"{self.name}_graph"
        self._codec = codec
        self._codes = codes
        binary = codec.is_binary
        self._type = f"{'bit' if binary else 'halfvec'}({codec.dimension})"
        self._operator = "<~>" if binary else "<#>"
        self._operators = "bit_hamming_ops" if binary else "halfvec_ip_ops"
        self._found = np.dtype([("key", ">i8"), ("code", codec.dtype, (codec.dimension,))])

    # --- its rows ------------------------------------------------------------------------------------------

    def create(self, connection: Connection) -> None:
        connection.execute(
            text(
                f"CREATE TABLE {self.name} (key bigint PRIMARY KEY, vector {self._type} NOT NULL)"
                " WITH (autovacuum_vacuum_scale_factor = 0.05)"  # removed rows lie in the way of the graph
            )
        )

    def drop(self, connection: Connection) -> None:
        connection.execute(text(f"DROP TABLE IF EXISTS {self.name}"))

    def append(self, connection: Connection, keys: np.ndarray, codes: np.ndarray) -> None:
        """Adds rows: `keys` int64 [n] and `codes` [n, d]."""
        if not len(keys):
            return
        statement = f"COPY {self.name} (key, vector) FROM STDIN (FORMAT BINARY)"
        with _cursor(connection) as cursor, cursor.copy(statement) as copy:
            copy.write(_HEADER + self._records(keys, codes) + _END)

    def _records(self, keys: np.ndarray, codes: np.ndarray) -> bytes:
        """As PostgreSQL writes rows of two columns: the lengths of both, halfvec and bit with their own."""
        dimension = self._codec.dimension
        if self._codec.is_binary:
            values = self._codec.sign_bits(codes)
            head: list[Any] = [("dimension", ">i4")]
            kind: tuple[Any, ...] = ("values", "u1", values.shape[1:])
        else:
            values = self._codec.decode(codes)
            head = [("dimension", ">i2"), ("unused", ">i2")]
            kind = ("values", ">f2", (dimension,))
        vector = np.dtype([*head, kind])
        row = np.dtype(
            [("columns", ">i2"), ("key_bytes", ">i4"), ("key", ">i8"), ("bytes", ">i4"), ("vector", vector)]
        )
        rows = np.zeros(len(keys), row)
        rows["columns"], rows["key_bytes"], rows["key"], rows["bytes"] = 2, 8, keys, vector.itemsize
        rows["vector"]["dimension"], rows["vector"]["values"] = dimension, values
        return rows.tobytes()

    def remove(self, connection: Connection, keys: np.ndarray) -> None:
        if len(keys):
            self._execute(connection, f"DELETE FROM {self.name} WHERE key = ANY(%s)", [keys.tolist()])

    def keys(self, connection: Connection) -> np.ndarray:
        """All of them, int64, in no order."""
        statement = f"COPY (SELECT key FROM {self.name}) TO STDOUT (FORMAT BINARY)"
        with _cursor(connection) as cursor, cursor.copy(statement) as copy:
            data = b"".join(copy)[len(_HEADER) : -len(_END)]
        return np.frombuffer(data, [("head", "V6"), ("key", ">i8")])["key"].astype(np.int64)

    def count(self, connection: Connection) -> int:
        return int(connection.scalar(text(f"SELECT count(*) FROM {self.name}")) or 0)

    def count_altered(self, connection: Connection, keys: np.ndarray, codes: np.ndarray) -> int:
        """How many of these rows are there with another vector than their codes have."""
        if not len(keys):
            return 0
        these = f"SELECT key, vector FROM {self.name} WHERE key = ANY(%s)"
        statement = f"COPY ({these}) TO STDOUT (FORMAT BINARY)"
        with _cursor(connection) as cursor, cursor.copy(statement, [keys.tolist()]) as copy:
            data = b"".join(copy)[len(_HEADER) : -len(_END)]
        expected = self._records(keys, codes)
        record = np.dtype(f"V{len(expected) // len(keys)}")
        if len(data) % record.itemsize:
            return len(keys)
        wanted, there = np.frombuffer(expected, record), np.frombuffer(data, record)
        found = np.frombuffer(data, "u1").reshape(len(there), -1)[:, _KEY].copy().view(">i8").ravel()
        order = np.argsort(keys)
        at = order[np.searchsorted(keys, found, sorter=order)]
        return int(np.count_nonzero(wanted[at] != there))

    def build_graph(self, connection: Connection, rows: int) -> None:
        """Makes the graph over all `rows` that are there; within the memory that is worth it."""
        width = self._codec.dimension // 8 if self._codec.is_binary else 2 * self._codec.dimension
        memory = min(max(rows * (width + _GRAPH_BYTES_PER_ROW), _LEAST_MEMORY), _MOST_MEMORY)
        connection.execute(text(f"SET LOCAL maintenance_work_mem = '{memory >> 10}kB'"))
        connection.execute(
            text(f"CREATE INDEX {self._graph} ON {self.name} USING hnsw (vector {self._operators})")
        )

    def size(self, connection: Connection) -> tuple[int, int]:
        """Bytes of the graph and of the rest."""
        sizes = text("SELECT pg_total_relation_size(to_regclass(:name)), pg_indexes_size(to_regclass(:name))")
        row = connection.execute(sizes, {"name": self.name}).one()
        return int(row[1] or 0), int(row[0] or 0) - int(row[1] or 0)

    # --- searching -----------------------------------------------------------------------------------------

    def nearest(
        self,
        connection: Connection,
        query: np.ndarray,
        effort: float,
        count: int,
        allowed: AllowedKeys | None,
    ) -> Found:
        """The best `count` of some `effort` rows near `query` (float32 [d]) that the graph finds, or of all
        as long as there is none, of those `allowed`.
        """
        steps = next(most for most in _EFFORTS if most >= effort or most == _EFFORTS[-1])
        more = "off" if allowed is None and count <= steps else "relaxed_order"
        _set_up(connection, steps, more)
        where, given = ("", {}) if allowed is None else allowed.condition()
        near = (
            f"SELECT key FROM {self.name}{where}"
            f" ORDER BY vector {self._operator} %(query)s::{self._type} LIMIT %(count)s"
        )
        return self._fetch(connection, near, {"query": self._literal(query), "count": count, **given})

    def scan(self, connection: Connection, query: np.ndarray, count: int, keys: np.ndarray | None) -> Found:
        """Every row that can be among the best `count` of `keys` (int64; None: of all): those whose score is
        in reach of the last of them, as half precision may be wrong. Of signs all rows.
        """
        if self._codec.is_binary:
            return self.codes(connection, keys)
        where, given = ("", {}) if keys is None else (" WHERE key = ANY(%(keys)s)", {"keys": keys.tolist()})
        near = (
            f"WITH scored AS MATERIALIZED (SELECT key, vector <#> %(query)s::{self._type} AS distance"
            f" FROM {self.name}{where}),"
            " last AS (SELECT distance FROM scored ORDER BY distance OFFSET %(before)s LIMIT 1)"
            " SELECT key FROM scored WHERE distance <= (SELECT distance FROM last) + %(reach)s"
        )
        reach = 2 * (_HALF_ERROR + len(query) * 1.2e-7)
        given |= {"query": self._literal(query), "before": count - 1, "reach": reach}
        return self._fetch(connection, near, given)

    def codes(self, connection: Connection, keys: np.ndarray | None) -> Found:
        """The codes of `keys` (int64), or of all rows, as far as they are there."""
        if keys is None:
            return self._fetch(connection, f"SELECT key FROM {self.name}", {})
        return self._fetch(connection, "SELECT unnest(%(keys)s::bigint[]) AS key", {"keys": keys.tolist()})

    def _fetch(self, connection: Connection, keys: str, given: dict[str, Any]) -> Found:
        statement = (
            f"SELECT string_agg(int8send(key) || code, ''::bytea), count(*) FROM ({keys}) AS near"
            f" LEFT JOIN {self._codes} USING (key)"
        )
        with _cursor(connection) as cursor:
            [(data, count)] = cursor.execute(statement, given, binary=True).fetchall()
        data = data or b""
        if len(data) % self._found.itemsize:
            raise StorageError(
                f"codes of generation {self.generation_id} have another width than its precision says;"
                " restore the catalog from a backup"
            )
        found = np.frombuffer(data, self._found)
        return Found(found["key"].astype(np.int64), found["code"], count)

    def _literal(self, query: np.ndarray) -> str:
        if self._codec.is_binary:
            bits = np.unpackbits(self._codec.query_bits(query), count=self._codec.dimension)
            return (bits + ord("0")).tobytes().decode("ascii")
        return str(query.astype(np.float16).astype(np.float32).tolist())

    def _execute(self, connection: Connection, statement: str, given: list[Any]) -> None:
        with _cursor(connection) as cursor:
            cursor.execute(statement, given)


def _set_up(connection: Connection, effort: int, more: str) -> None:
    """How the graph is searched over this connection from now on; said to the server where it changes."""
    wanted = (effort, more)
    if connection.info.get(_SET_UP) == wanted:
        return
    statement = (
        "SELECT set_config('hnsw.ef_search', %s, false), set_config('hnsw.iterative_scan', %s, false),"
        " set_config('jit', 'off', false)"  # compiling takes longer than any of these statements
    )
    with _cursor(connection) as cursor:
        cursor.execute(statement, [str(effort), more])
    connection.info[_SET_UP] = wanted


@contextmanager
def asking(database: Engine) -> Iterator[Connection]:
    """For single statements that read: each is one message to the server and back."""
    with map_errors(database), database.connect() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def read_chunk_keys(
    connection: Connection, generation_id: int, after: int, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Keys and documents, int64 [n] each, of the chunks that a generation has from its changes after `after`
    up to `last`, in their order.
    """
    statement = (
        "COPY (SELECT key, document_key FROM chunk WHERE generation_id = %s AND change > %s AND change <= %s"
        " ORDER BY change, key) TO STDOUT (FORMAT BINARY)"
    )
    with _cursor(connection) as cursor, cursor.copy(statement, [generation_id, after, last]) as copy:
        data = b"".join(copy)[len(_HEADER) : -len(_END)]
    rows = np.frombuffer(data, [("head", "V6"), ("key", ">i8"), ("length", "V4"), ("document", ">i8")])
    return rows["key"].astype(np.int64), rows["document"].astype(np.int64)


@contextmanager
def _cursor(connection: Connection) -> Iterator[Any]:
    from psycopg import errors

    driver = connection.connection.driver_connection
    assert driver is not None
    with translated(connection), driver.cursor() as cursor:
        try:
            yield cursor
        except errors.UndefinedTable as error:
            if (said := str(error.diag.message_primary)).find(_PREFIX) < 0:
                raise
            raise CorruptView(f"a table of pgvector was made anew or dropped ({said})") from error
