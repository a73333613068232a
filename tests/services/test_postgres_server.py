"""The server that tests start: fresh databases, a user as people have, gone with its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest


def test_a_database_is_fresh_and_has_pgvector(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        nearest = connection.execute("SELECT '[1,2]'::halfvec(2) <#> '[3,4]'").fetchone()
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert (nearest, tables) == ((-11.0,), (0,))


def test_the_user_owns_the_database_and_nothing_else(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        [(administrator,)] = connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user")
        assert administrator is ("DATABASE_URL" in os.environ and administrator)
        connection.execute("CREATE TABLE own (id int)")


def test_a_database_without_pgvector(postgres_databases):
    url = postgres_databases.create(vector=False)
    with psycopg.connect(url) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_extension WHERE extname = 'vector'"
        ).fetchone() == (0,)
    postgres_databases.drop(url)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


PROGRAM = """
from tests.services.postgres import Server
import time
server = Server()
print(server.folder, server._process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.faults
def test_the_server_goes_with_a_process_that_is_killed():
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder, server = process.stdout.readline().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    until = time.monotonic() + 30
    while Path(folder).exists() or _runs(int(server)):
        assert time.monotonic() < until, (folder, server)
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").exists() else True
