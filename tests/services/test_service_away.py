"""A service that is away, slow, strange, or breaks off: a sentence each, and nothing is done twice."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.desk import improving, searching
from app.remote import connection as module
from app.remote.connection import Connection
from app.remote.desk import RemoteDesk
from app.remote.errors import KeyRefused, ServiceAway, ServiceFailed, error_from
from indexing.errors import BadInput, LockedError, StorageError

LISTING = {"answer": {"names": ["notes"], "damaged": {}}}


@pytest.fixture
def strange():
    """Gives a desk at a server that answers by a function of the request; `asked` are the paths."""
    servers, connections = [], []

    def start(answer, **options):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked.append(self.path)
                self.rfile.read(int(self.headers["Content-Length"]))
                answer(self, len(asked))

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever).start()
        servers.append(server)
        connections.append(Connection(f"http://127.0.0.1:{server.server_port}/", **options))
        return RemoteDesk(connections[-1], "stlib_key", ""), asked

    yield start
    for connection in connections:
        connection.close()
    for server in servers:
        server.shutdown()
        server.server_close()


def says(status, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler, _):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def breaks_off(times=10**6):
    """The first `times` answers end before they began."""

    def answer(handler, number):
        if number > times:
            says(200, LISTING)(handler, number)
        handler.close_connection = True

    return answer


def never(handler, _):
    handler.close_connection = True
    time.sleep(1.5)


def endless(handler, _):
    handler.send_response(200)
    handler.end_headers()
    handler.close_connection = True
    with suppress(OSError):  # nobody reads it any more
        while True:
            handler.wfile.write(b"x" * 65536)


def fails(status, type_, message):
    return says(status, {"error": {"type": type_, "message": message}})


NO_SERVICE = "is no service of this version"


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (says(200, b"<html>welcome</html>"), ServiceFailed, NO_SERVICE),
        (says(200, ["x"]), ServiceFailed, NO_SERVICE),
        (says(200, {"answer": {"names": 1, "damaged": {}}}), ServiceFailed, "in another way than this page"),
        (says(200, b"[" * 100_000), ServiceFailed, NO_SERVICE),
        (says(302, b"", Location="http://127.0.0.1:1/"), ServiceFailed, NO_SERVICE),
        (says(404, {"detail": "Not Found"}), ServiceFailed, NO_SERVICE),
        (fails(500, "internal_error", "see the log"), ServiceFailed, "see the log"),
        (fails(401, "bad_key", "key k1 is expired"), KeyRefused, "key k1 is expired"),
        (says(401, b""), KeyRefused, "it opens nothing"),
        (fails(409, "locked_error", "busy"), LockedError, "busy"),
        (fails(400, "__import__", "what"), BadInput, "what"),
        (breaks_off(), ServiceAway, "broke off before its answer.$"),
        (never, ServiceAway, r"has not answered within 0\.3 s"),
    ],
)
def test_a_strange_answer_is_a_sentence(strange, answer, error, words):
    desk, _ = strange(answer, read_seconds=0.3)
    with pytest.raises(error, match=words):
        desk.ask(searching.collections)


def test_nobody_there_is_a_sentence_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        connection = Connection(f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ServiceAway, match="does not answer: it is not running"):
            RemoteDesk(connection, "", "").ask(searching.collections)
        connection.close()


def test_what_reads_is_asked_once_more_and_what_changes_is_not(strange):
    desk, asked = strange(breaks_off(times=1))
    assert desk.ask(searching.collections).names == ["notes"] and len(asked) == 2
    desk, asked = strange(breaks_off(times=1))
    with pytest.raises(ServiceAway, match="Whether it was done is not known"):
        desk.ask(improving.promote, "notes", 2)
    assert asked == ["/v1/page/improving.promote"]


def test_an_answer_without_end_is_left(strange, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 2**20)
    desk, _ = strange(endless)
    with pytest.raises(ServiceFailed, match="more than 1 MiB"):
        desk.ask(searching.collections)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "notes",
        "ftp://host",
        "http://",
        "http://ann:key@host",
        "http://host/?q",
        "http://host:x",
        "http://hö",
    ],
)
def test_an_address_is_one_of_a_service(address):
    with pytest.raises(BadInput, match=re.escape("one like http://127.0.0.1:8800")):
        Connection(address)


def test_errors_of_another_world_are_not_made():
    error = error_from(500, {"error": {"type": "storage_error", "message": "x"}}, "http://host")
    assert isinstance(error, ServiceFailed) and not isinstance(error, StorageError)
