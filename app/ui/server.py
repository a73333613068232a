"""Start Streamlit over the pages, by default for this machine only.

The server is a process of its own, so the command line never imports Streamlit. Its settings travel in
environment variables: a Streamlit that does not know one of them ignores it, but refuses an unknown flag.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.settings import HOST_VARIABLE, LOOPBACK, Location, host_from_environment, upload_limits

__all__ = ["ServerFailed", "free_port", "is_healthy", "running_server"]

_PAGE = Path(__file__).with_name("main.py")
_EVERYWHERE = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - not listened on unless a person says so
_START_LIMIT = 60.0  # seconds; a cold start takes two to five

_SETTINGS = {
    "SERVER_HEADLESS": "true",  # we open the browser, and never ask for an e-mail address
    "SERVER_FILE_WATCHER_TYPE": "none",
    "SERVER_RUN_ON_SAVE": "false",
    "BROWSER_GATHER_USAGE_STATS": "false",
    "CLIENT_SHOW_ERROR_DETAILS": "none",  # a traceback goes to the log, a sentence to the page
    "CLIENT_TOOLBAR_MODE": "minimal",
    "CLIENT_SHOW_SIDEBAR_NAVIGATION": "false",
    "LOGGER_LEVEL": "warning",
    "LOGGER_HIDE_WELCOME_MESSAGE": "true",
    "THEME_LIGHT_PRIMARY_COLOR": "#0f6b63",
    "THEME_LIGHT_BACKGROUND_COLOR": "#f8f9f8",
    "THEME_LIGHT_SECONDARY_BACKGROUND_COLOR": "#ffffff",
    "THEME_LIGHT_TEXT_COLOR": "#1d2423",
    "THEME_DARK_PRIMARY_COLOR": "#4fb8ac",
    "THEME_DARK_BACKGROUND_COLOR": "#14181a",
    "THEME_DARK_SECONDARY_BACKGROUND_COLOR": "#1f2527",
    "THEME_DARK_TEXT_COLOR": "#e8ecea",
    "THEME_BASE_RADIUS": "medium",
}


class ServerFailed(Exception):
    """The server ended, or did not answer in time; what it wrote itself is on its stderr."""


def free_port(preferred: int = 0, host: str = LOOPBACK) -> int:
    """`preferred` if nobody listens there, else a free port of `host`.

    Raises:
        OSError: the host is no address of this machine.
    """
    for port in (preferred, 0):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            if os.name == "posix":
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                if port == 0:
                    raise
                continue
            return int(probe.getsockname()[1])
    raise AssertionError("unreachable")


@contextmanager
def running_server(
    location: Location, port: int, *, stderr: IO[str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server that answers: yields its address and its process, and stops it at the end. It listens on the
    address that `host_from_environment` says.

    Its complaints go to `stderr`, by default ours.

    Raises:
        ServerFailed: it ended before it answered.
    """
    host = host_from_environment()
    environment = {**os.environ, **location.to_environment(), HOST_VARIABLE: host}
    environment.update(
        {f"STREAMLIT_{name}": value for name, value in {**_SETTINGS, **_listening(host, port)}.items()}
    )
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and page
        [sys.executable, "-m", "streamlit", "run", str(_PAGE)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        near = _near(host)
        _wait_until_ready(process, near, port)
        yield f"http://{f'[{near}]' if ':' in near else near}:{port}", process
    finally:
        _stop(process)


def _listening(host: str, port: int) -> dict[str, str]:
    """Where the server listens, what a browser may call it by, and how much one may upload."""
    # Behind a proxy the name that people type is another one, which only its keeper knows.
    named = os.environ.get("STREAMLIT_BROWSER_SERVER_ADDRESS") or (
        "localhost" if host in _EVERYWHERE else host
    )
    return {
        "SERVER_ADDRESS": host,
        "SERVER_PORT": str(port),
        "SERVER_MAX_UPLOAD_SIZE": str(max(1, upload_limits().file_bytes >> 20)),
        "BROWSER_SERVER_ADDRESS": LOOPBACK if host == LOOPBACK else named,
    }


def _near(host: str) -> str:
    """The address by which this machine reaches what listens on `host`."""
    return _EVERYWHERE.get(host, host)


def _wait_until_ready(process: subprocess.Popen[bytes], host: str, port: int) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ServerFailed(
                f"the search page's server ended with code {process.returncode} before it answered;"
                " what it wrote stands above"
            )
        if is_healthy(host, port):
            return
        time.sleep(0.05)
    raise ServerFailed(f"the search page's server did not answer on port {port} within {_START_LIMIT:.0f} s")


def is_healthy(host: str, port: int) -> bool:
    """Whether a server of ours answers there."""
    connection = http.client.HTTPConnection(_near(host), port, timeout=2)
    try:
        connection.request("GET", "/_stcore/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):  # nobody there, or somebody else
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
