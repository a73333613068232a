"""`stlib ui` ends its server whichever way it is ended itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.ui import command
from app.settings import LOOPBACK
from app.ui.server import free_port

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.usefixtures("ctrl_c_is_not_ignored")


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_server_is_stopped_by_either_signal(home, signum):
    port = free_port()
    with subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "ui", "--no-browser", "--port", str(port)],
        env={**os.environ, "STLIB_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout.readline() == f"Search page: http://{LOOPBACK}:{port}  (Ctrl-C stops it)\n"
            assert listens(port)
            process.send_signal(signum)
            out, err = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert (process.returncode, out) == (0, ""), err
    assert "Traceback" not in err
    assert not listens(port)


@pytest.mark.parametrize(
    ("given", "variables", "words"),
    [
        (["--server", "nowhere"], {}, "the address of a service is one like http://127.0.0.1:8800"),
        (["--server", "http://ann:key@host"], {}, "without a name or a key in it"),
        (["--server", "http://127.0.0.1:1", "--home", "x"], {}, "leave --home away"),
        (["--server", "http://127.0.0.1:1", "--rerank", "x"], {}, "leave --rerank away"),
        (["--server", "http://127.0.0.1:1"], {"STLIB_RIGHTS": "search"}, "STLIB_RIGHTS is for a page over a"),
        ([], {"STLIB_SERVER": "x", "STLIB_USER_HEADER": "X-User"}, "STLIB_USER_HEADER is for a page over a"),
    ],
)
def test_a_page_of_a_service_is_told_what_a_service_decides(monkeypatch, given, variables, words):
    monkeypatch.delenv("STLIB_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(command, given)
    assert result.exit_code != 0 and words in " ".join(result.output.split())


def listens(port):
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) == 0
