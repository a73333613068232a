"""Which of the two kinds of database something is: `sqlite.py` and `postgres/` hold all that differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine, Table

from indexing.catalog import postgres, sqlite
from indexing.storage.paths import Address, ServerDatabase

__all__ = ["Dialect", "dialect_of"]


class Dialect(Protocol):
    """What both modules have. See there."""

    COMPARES_FILTERS: bool
    OUT_OF_REACH: tuple[str, ...]
    NUMBERS_WHILE_OTHERS_WRITE: bool

    def exists(self, address: Any, /) -> bool: ...

    def identity(self, address: Any, /) -> tuple[int, int] | None: ...

    def require_space(self, address: Any, needed: int, /) -> None: ...

    def file_bytes(self, engine: Engine, address: Any, /) -> int: ...

    def free_bytes(self, connection: Connection, /) -> tuple[int, int]: ...

    def vacuum(self, engine: Engine, /) -> None: ...

    def scrub(self, engine: Engine, tables: Sequence[str] | None = None, /) -> str | None: ...

    def lock_schema(self, connection: Connection, /) -> None: ...

    def is_in_log(self, engine: Engine, /) -> bool: ...

    def find_damage(self, connection: Connection, /) -> list[str]: ...

    def find_wrong_types(self, connection: Connection, /) -> list[str]: ...

    def read_version(self, connection: Connection, name: str, /) -> int: ...

    def set_version(self, connection: Connection, name: str, version: int, /) -> None: ...

    def reserve_numbers(self, connection: Connection, table: Table, needed: int, /) -> int: ...

    def insert_new(self, table: Table, /) -> Any: ...

    def insert_or_replace(self, table: Table, /) -> Any: ...

    def insert_rows(
        self,
        connection: Connection,
        table: Table,
        columns: Sequence[str],
        rows: list[tuple[Any, ...]],
        /,
    ) -> None: ...


def dialect_of(what: Engine | Connection | Address) -> Dialect:
    """The module for a database, for a connection to it, or for its address."""
    if isinstance(what, Engine | Connection):
        is_server = what.dialect.name == "postgresql"
    else:
        is_server = isinstance(what, ServerDatabase)
    return cast(Dialect, postgres if is_server else sqlite)
