"""`stlib serve` as a process: slow and broken clients, workers that die, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from app.cli import serve
from app.feedback.place import feedback_place
from app.feedback.table import read_impressions
from app.settings import Location
from indexing import Collection
from tests.services.api import running_service, stop

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 0.4  # a client may take for a head, or between two pieces of a body
PATIENCE = 40.0


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("served") / "home"
    with Collection.create("notes", home=home) as collection:
        collection.add([{"id": "a", "text": "Apples are red."}, {"id": "b", "text": "Bread is brown."}])
    return home


@pytest.fixture(scope="module")
def service(home):
    settings = {"header_seconds": SECONDS, "body_seconds": SECONDS, "shutdown_seconds": 10}
    with running_service(home, workers=2, connections=40, **settings) as service:
        yield service


def talk(service, *pieces, patience=PATIENCE):
    """What comes back until the service closes the connection, and after how many seconds."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=patience) as connection:
        for number, data in enumerate(pieces):
            time.sleep(0.1 * (number > 0))  # they are read one by one
            connection.sendall(data)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer, time.monotonic() - started


def error_in(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]["type"]


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def is_answered(service):
    try:
        return talk(service, b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")[0][9:12] == b"200"
    except ConnectionError:  # it was refused before it was read
        return False


def wait_until(true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


POST = b"POST /v1/collections/notes/documents HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "head", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: b"]
)
def test_a_head_that_does_not_come_is_not_waited_for(service, head):
    answer, seconds = talk(service, head)
    assert error_in(answer) == (408, "too_slow") and SECONDS <= seconds + 0.1 < SECONDS + 5


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: 1000\r\n\r\n{",
        b"POST /v1/collections/notes/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{",
    ],
)
def test_a_body_that_does_not_come_is_not_waited_for(service, data):
    answer, seconds = talk(service, data)
    assert error_in(answer) == (408, "too_slow") and seconds < SECONDS + 5


def test_a_refused_body_is_not_waited_for(service):
    """Its sender could go on for ever, a byte at a time."""
    evil = b"POST /v1/collections/notes/documents HTTP/1.1\r\nHost: evil.example\r\n"
    answer, seconds = talk(service, evil + b"Content-Length: 1000\r\n\r\n{")
    assert error_in(answer)[0] == 421 and b"connection: close" in answer and seconds < 5


def test_a_head_that_stops_behind_another_request_is_not_waited_for(service):
    answer, seconds = talk(service, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HT")
    assert answer.startswith(b"HTTP/1.1 200") and seconds < SECONDS + 5
    assert answer.count(b"HTTP/1.1 408") == 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n Folded: x\r\nBad Name: y\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 50\r\n\r\nabcde",
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_refused(service, data):
    answer, _ = talk(service, data)
    status = int(answer.split()[1])
    assert status == 400 and answer.count(b"HTTP/1.1 ") == 1


def test_long_heads_are_refused(service):
    head = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: " + b"a" * 100_000
    assert error_in(talk(service, head)[0]) == (431, "too_large")
    many = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 20_000
    assert error_in(talk(service, many)[0]) == (431, "too_large")


@pytest.mark.parametrize("piece", [b"x: " + b"y" * 65_533, b"x: yyyy\r\n" * 7_282], ids=["long", "many"])
def test_trailers_without_end_are_refused(service, piece):
    search = b"POST /v1/collections/notes/search HTTP/1.1\r\nHost: localhost\r\n"
    head = search + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ask = chunk(b'{"query": "apples"}') + b"0\r\n"
    assert error_in(talk(service, head + ask, piece + b"x")[0]) == (431, "too_large")
    few = (
        head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        + ask
        + b"x: y\r\nAuthorization: Bearer x\r\n\r\n"
    )
    assert talk(service, few)[0].startswith(b"HTTP/1.1 200")


def test_a_body_in_many_small_chunks_is_taken(service):
    line = b'{"id": "b", "text": "Bread is brown."}\n'
    body = b"".join(chunk(line[i : i + 1]) for i in range(len(line))) * 600 + b"0\r\n\r\n"
    answer, _ = talk(service, POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + body)
    assert answer.startswith(b"HTTP/1.1 200") and b'"stored_lines":600' in answer


def test_no_header_is_made_by_what_a_request_says(service):
    asked = b"GET /v1/collections/a%0d%0aX-Evil:%201/search?q=%0d%0aX-Evil:1 HTTP/1.1\r\nHost: localhost\r\n"
    answer, _ = talk(service, asked + b"X-Request-ID: a%0d%0aX-Evil: 1\r\nConnection: close\r\n\r\n")
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert answer.startswith(b"HTTP/1.1 400") and b"x-evil" not in head


def test_an_upload_that_breaks_off_keeps_what_was_whole(service, home):
    lines = b"".join(json.dumps({"id": f"u{i}", "text": f"number {i}"}).encode() + b"\n" for i in range(600))
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(POST + b"Content-Length: 1000000\r\n\r\n" + lines)
        with service.client() as client:
            wait_until(lambda: client.get("/v1/collections/notes/documents/u499").status_code == 200)
    with service.client() as client:
        assert client.get("/v1/collections/notes/documents/u599").status_code == 404  # its batch was not full
        assert client.post("/v1/collections/notes/documents", content=lines).json()["unchanged"] == 500


def test_connections_are_spread_over_the_workers(service):
    def sockets(worker):
        return sum("socket" in str(one.readlink()) for one in Path(f"/proc/{worker}/fd").iterdir())

    workers = service.workers()
    wait_until(lambda: len({sockets(worker) for worker in workers}) == 1)
    before = {worker: sockets(worker) for worker in workers}
    clients = [service.client() for _ in range(8)]
    for client in clients:
        assert client.get("/healthz").status_code == 200
    assert {worker: sockets(worker) - before[worker] for worker in workers} == dict.fromkeys(workers, 4)
    for client in clients:
        client.close()


def test_who_is_idle_makes_room_and_one_address_takes_no_more_than_its_share(home):
    ask, line = (
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        chunk(b'{"id": "a", "text": "Apples are red."}\n'),
    )

    def connect(address, data):
        one = socket.create_connection(("127.0.0.1", service.port), PATIENCE, source_address=(address, 0))
        opened.enter_context(one)
        one.sendall(data)
        return one

    settings = {"workers": 1, "connections": 8, "address_connections": 6, "idle_seconds": 60}
    with ExitStack() as opened, running_service(home, **settings) as service:
        store = POST + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" + line
        busy = [connect("127.0.0.1", store) for _ in range(6)]
        assert [one.recv(25)[:12] for one in busy] == [b"HTTP/1.1 100"] * 6
        assert connect("127.0.0.1", ask).recv(12) == b"HTTP/1.1 503"  # its share is busy
        idle = []
        for _ in range(2):
            idle.append(connect("127.0.0.2", ask))
            assert idle[-1].recv(12) == b"HTTP/1.1 200"
        assert connect("127.0.0.3", ask).recv(12) == b"HTTP/1.1 200"  # all are taken: the first idle one goes
        rest = b""
        while piece := idle[0].recv(4096):
            rest += piece
        assert rest.endswith(b'{"status":"ok"}')
        for one in busy:  # and none that was busy
            one.sendall(b"0\r\n\r\n")
            assert one.recv(12) == b"HTTP/1.1 200"
        refused = connect("127.0.0.1", b"GET /v1/collections HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        answer = b""
        while piece := refused.recv(4096):  # it is not kept
            answer += piece
        assert error_in(answer)[0] == 421


@pytest.mark.long
def test_a_worker_that_stands_still_is_replaced(home):
    with running_service(home, workers=1) as service:
        [still] = service.workers()
        os.kill(still, signal.SIGSTOP)
        wait_until(lambda: service.workers() not in ([], [still]))
        with service.client() as client:
            assert client.get("/healthz").json() == {"status": "ok"}


def test_a_worker_that_is_killed_is_replaced(service):
    killed = service.workers()[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: len(service.workers()) == 2 and killed not in service.workers())
    for _ in range(6):
        with service.client() as client:
            assert client.get("/healthz").json() == {"status": "ok"}


def test_it_ends_after_what_is_in_flight(service, home):
    workers = service.workers()
    with service.client() as client:
        assert (
            client.get("/v1/collections/notes/search", params={"q": "the last question"}).status_code == 200
        )
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE) as connection:
        connection.sendall(
            POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b'{"id": "c1", "text": "cut"}')
        )
        time.sleep(0.1)
        service.process.send_signal(signal.SIGTERM)

        def is_refused():
            connection.sendall(chunk(b"\n"))  # it goes on sending
            try:
                socket.create_connection(("127.0.0.1", service.port), timeout=1).close()
            except OSError:
                return True
            return False

        wait_until(is_refused)
        connection.sendall(chunk(b'{"id":"c2","text":"d"}') + b"0\r\n\r\n")
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200") and b'"added":2' in answer, answer
    assert stop(service.process) == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    with Collection.open("notes", home=home) as collection:
        assert {"c1", "c2"} <= set(collection.get(["c1", "c2"]))
        asked = [one.query for one in read_impressions(feedback_place(Location(home)), collection.uuid)]
    assert asked[-1] == "the last question"
    said = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert {one["status"] for one in said if "status" in one} >= {200, 400, 404, 408}
    assert not [one for one in said if "traceback" in one]


def test_workers_do_not_outlive_their_supervisor(home):
    with running_service(home, workers=1) as service:
        [worker] = service.workers()
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not Path(f"/proc/{worker}").exists())
        with pytest.raises(httpx.ConnectError), service.client() as client:
            client.get("/healthz")


def test_what_is_needed_is_what_the_extra_brings():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    extra = re.search(r"^serve = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
    assert re.findall(r'"([\w-]+)[><=]', extra) == serve.NEEDED.split()
    traces = re.search(r"^traces = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)[1]
    assert re.findall(r'"([\w-]+)[><=]', traces) == serve.NEEDED_BY_TRACES.split()
