"""`stlib ui` ends its server whichever way it is ended itself."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager

import pytest

from app.cli.ui import serve
from app.settings import Location


class Process:
    """A server that a signal interrupts."""

    def __init__(self, signum):
        self._signum = signum

    def wait(self):
        os.kill(os.getpid(), self._signum)
        time.sleep(30)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_the_server_is_stopped_by_either_signal(monkeypatch, signum):
    events = []

    @contextmanager
    def server(location, port):
        try:
            yield "http://127.0.0.1:1", Process(signum)
        finally:
            events.append("stopped")

    monkeypatch.setattr("app.ui.server.running_server", server)
    before = signal.getsignal(signal.SIGTERM)
    # What a shell starts in the background ignores Ctrl-C.
    ctrl_c = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        serve(Location(), browser=False)
    finally:
        signal.signal(signal.SIGINT, ctrl_c)
    assert events == ["stopped"]
    assert signal.getsignal(signal.SIGTERM) is before
