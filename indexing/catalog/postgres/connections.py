"""Connections to PostgreSQL: a pool for each database, kept for a process, and what a fork does to them."""

from __future__ import annotations

import atexit
import os
import socket
from contextlib import suppress
from typing import Any, cast
from weakref import WeakSet

from sqlalchemy import Engine, create_engine, event, exc
from sqlalchemy.engine import make_url
from sqlalchemy.pool import QueuePool

from indexing.catalog.forked import empty_before_forks
from indexing.errors import StorageError
from indexing.storage import forks
from indexing.storage.paths import ServerDatabase
from stlib.extras import require
from stlib.util.forks import ThreadLock

__all__ = ["POOL_VARIABLE", "address_of", "close_pools", "open_database", "pool_size", "scope_of"]

POOL_VARIABLE = "STLIB_DB_POOL"
"""How many connections to one database a process may hold; each search, write or job takes one meanwhile."""

_USUAL_POOL = 16
_WAIT_SECONDS = 10  # for a lock or a connection; a writer holds its lock for one batch, well under a second
_SCOPE = "stlib_scope"
_ADDRESS = "stlib_address"

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
    most = pool_size()
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


def pool_size() -> int:
    """How many connections a process may hold, by `POOL_VARIABLE`."""
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


_inherited = _Inherited()
forks.watch(_inherited)


def close_pools() -> None:
    """Ends the idle connections of this process, which are kept for whoever opens a collection next."""
    with _opening:
        while _engines:
            _engines.popitem()[1].dispose()


atexit.register(close_pools)


def scope_of(engine: Engine) -> tuple[str, str]:
    """Database and scope of an engine: its writers follow each other."""
    options = engine.get_execution_options()
    return str(engine.url), str(options.get(_SCOPE, ""))


def address_of(engine: Engine) -> object:
    """As messages name the database: without a password."""
    return engine.get_execution_options().get(_ADDRESS) or engine.url
