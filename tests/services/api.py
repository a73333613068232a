"""The service as people run it, for tests: a process of `stlib serve`, or its application in this process.

with running_service(home, workers=1) as service:      # a process, on a free port; about 2 s
    service.client().get("/healthz")

with client_of(home, keys="required") as client:       # in this process, without sockets; about 0.1 s
    client.get("/v1/collections", headers=bearer(new_key(home)))
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from starlette.testclient import TestClient

from app.api.app import make_app
from app.api.settings import read_settings
from app.facade.caller import local_caller
from app.facade.keys import make_key
from app.settings import Location

_PATIENCE_S = 60
_STLIB = [sys.executable, "-c", "from app.cli import main; main()"]


def location_of(where: Path | str) -> Location:
    """A home by its folder, or a database by its URL."""
    return Location(db=where) if isinstance(where, str) else Location(where)


def new_key(where: Path | str, name: str = "tester", **choices: Any) -> str:
    """A key for the service over this home or database."""
    return make_key(local_caller(), location_of(where), name, **choices)[1]


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def client_of(where: Path | str, **settings: Any) -> Iterator[TestClient]:
    """A client of the application in this process, once that is ready; without a key it may do everything,
    whatever keys were made, unless `keys` says otherwise.
    """
    app = make_app(location_of(where), read_settings(**{"keys": "elsewhere", **settings}))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        wait_until_ready(client)
        yield client


@dataclass
class RunningService:
    """A process of `stlib serve`. `log` is what it says on stderr."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def client(self, key: str | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={} if key is None else bearer(key), timeout=30)

    def workers(self) -> list[int]:
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]


@contextmanager
def running_service(
    where: Path | str,
    *,
    command: Sequence[str] = ("serve",),
    env: dict[str, str] | None = None,
    port: int = 0,
    **settings: Any,
) -> Iterator[RunningService]:
    """`stlib serve`, or another `command` that serves, on `port`, by default a free one, once it is ready,
    stopped at the end; `settings` of ServiceSettings, where `keys` is `elsewhere` by default.
    """
    settings = {"keys": "elsewhere", **settings}
    variables = {f"STLIB_{name.upper()}": str(value) for name, value in settings.items()}
    environment = {**os.environ, **location_of(where).to_environment(), **variables, **(env or {})}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stderr"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [*_STLIB, *command, "--port", str(port)],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().partition(" ")[2].split(" ")[0]
            assert url.startswith("http://"), log.read_text()
            assert process.stdout.readline() == b"ready\n", log.read_text()
            yield RunningService(url, process, log)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Tell it to end as a service manager does; its exit code."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        return process.wait(_PATIENCE_S)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def wait_until_ready(client: httpx.Client) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline, "the service does not get ready"
        time.sleep(0.02)
