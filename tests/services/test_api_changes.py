"""What changes something: done once and said so, and no collection waits for the writers of another."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from app.api.app import make_app
from app.api.settings import read_settings
from app.facade import keys
from app.facade.caller import local_caller
from app.facade.gate import rollback
from app.facade.keys import revoke_key
from indexing import Collection
from indexing.errors import ConnectionLost, LockedError
from tests.services.api import bearer, client_of, location_of, new_key


@pytest.fixture
def home(tmp_path):
    for name in "ab":
        with Collection.create(name, home=tmp_path / "home") as collection:
            collection.add([{"id": one, "text": "bees make honey"} for one in "xyz"])
    return tmp_path / "home"


def ask_at_once(home, ask, **settings):
    """What `ask`, given an asynchronous client of the application, returns."""

    async def run():
        app = make_app(location_of(home), read_settings(rate=0, **settings))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1", timeout=60
        )
        async with app.router.lifespan_context(app), client:
            return await ask(client)

    # In a thread of its own: a browser that other tests drive keeps a loop running in this one.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(lambda: asyncio.run(run())).result()


def test_a_change_that_has_begun_is_answered_late_and_not_by_an_error(home, monkeypatch):
    with Collection.open("a", home=home) as collection:
        for precision in ("int8", "float32"):
            collection.reindex(precision=precision)
        live = next(one.id for one in collection.servings() if one.live)

    def slow(*given, **named):
        moved = rollback(*given, **named)
        time.sleep(0.4)
        return moved

    delete = Collection.delete

    def slow_delete(*given, **named):
        gone = delete(*given, **named)
        time.sleep(0.4)
        return gone

    monkeypatch.setattr("app.api.routes.servings.rollback", slow)
    monkeypatch.setattr(Collection, "delete", slow_delete)
    with client_of(home, request_seconds=0.2) as client:
        back = client.post("/v1/collections/a/servings/rollback", json={"expected": live})
        assert (back.status_code, back.json()["before"]) == (200, live)
        again = client.post("/v1/collections/a/servings/rollback", json={"expected": live})
        assert (again.status_code, again.json()["error"]["type"]) == (409, "another_is_live")
        assert client.get("/v1/collections/a/servings").json()["live"] == back.json()["live"]
        assert client.delete("/v1/collections/a/documents/x").json() == {"deleted": ["x"]}


def test_a_change_that_has_not_begun_in_time_is_not_done(home, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    delete = Collection.delete

    def held(*given, **named):
        begun.set()
        assert go_on.wait(20)
        return delete(*given, **named)

    monkeypatch.setattr(Collection, "delete", held)

    async def ask(client):
        first = asyncio.create_task(client.delete("/v1/collections/a/documents/x"))
        await asyncio.to_thread(begun.wait, 20)
        second = await client.delete("/v1/collections/a/documents/y")
        go_on.set()
        return await first, second

    first, second = ask_at_once(home, ask, request_seconds=0.3)
    assert first.json() == {"deleted": ["x"]}
    assert (second.status_code, second.json()["error"]["type"]) == (503, "timeout")
    with Collection.open("a", home=home) as collection:
        assert set(collection.get(list("xyz"))) == {"y", "z"}


def test_who_waits_for_one_collection_keeps_no_other_waiting(home, monkeypatch):
    for what in ("add", "delete"):
        change = getattr(Collection, what)

        def locked(self, *given, _change=change, **named):
            if self.name == "a":
                raise LockedError("another process writes")
            return _change(self, *given, **named)

        monkeypatch.setattr(Collection, what, locked)
    line = b'{"id": "n", "text": "hello"}\n'

    async def ask(client):
        many = [client.post("/v1/collections/a/documents", content=line) for _ in range(8)]
        many += [client.delete("/v1/collections/a/documents/x") for _ in range(80)]
        tasks = [asyncio.create_task(one) for one in many]
        await asyncio.sleep(0.3)
        started = time.monotonic()
        stored = await client.post("/v1/collections/b/documents", content=line)
        read = await client.get("/v1/collections/b/documents/n")
        seconds = time.monotonic() - started
        return stored, read, seconds, [one.status_code for one in await asyncio.gather(*tasks)]

    stored, read, seconds, statuses = ask_at_once(home, ask, write_seconds=4.0)
    assert stored.json()["added"] == 1 and read.json()["text"] == "hello" and seconds < 2.5
    assert sorted(set(statuses)) == [409, 503] and statuses.count(503) == 88 - 64


def test_slow_changes_leave_threads_to_who_reads(home, monkeypatch):
    monkeypatch.setattr("app.api.routes.files.forget_uploads", lambda *_: (time.sleep(0.5), 0)[1:] * 2)

    async def ask(client):
        await client.get("/v1/collections/b/documents/x")
        tasks = [asyncio.create_task(client.delete("/v1/collections/a/files")) for _ in range(48)]
        await asyncio.sleep(0.1)
        read = await client.get("/v1/collections/b/documents/x")
        done = sum(one.done() for one in tasks)
        return read, done, [one.json() for one in await asyncio.gather(*tasks)]

    read, done, answers = ask_at_once(home, ask)
    assert read.json()["text"] == "bees make honey" and done == 0
    assert answers == [{"files": 0, "bytes": 0}] * 48


def test_a_change_whose_outcome_is_unknown_is_not_to_be_tried_again(home, monkeypatch):
    def lost(*_given, **_named):
        raise ConnectionLost("the connection to postgresql://db.example was lost")

    monkeypatch.setattr(Collection, "delete", lost)
    monkeypatch.setattr(Collection, "get", lost)
    with client_of(home) as client:
        changed = client.delete("/v1/collections/a/documents/x")
        read = client.get("/v1/collections/a/documents/x")
    said = changed.json()["error"]
    assert (changed.status_code, said["type"]) == (
        503,
        "outcome_unknown",
    ) and "retry-after" not in changed.headers
    assert "look before you ask again" in said["message"] and "db.example" not in changed.text
    assert (read.status_code, read.json()["error"]["type"]) == (503, "connection_lost")
    assert read.headers["retry-after"] == "1"


def test_what_was_stored_of_an_upload_that_is_too_large_is_said(home):
    line = b'{"id": "%d", "text": "hello"}\n'

    async def body():
        for start in range(0, 1_200, 10):
            yield b"".join(line % i for i in range(start, start + 10))

    async def ask(client):
        answer = await client.post("/v1/collections/a/documents", content=body())
        return answer, (await client.get("/v1/collections/a")).json()["documents"]

    answer, documents = ask_at_once(home, ask, upload_mib=0.02)
    said = answer.json()["error"]
    assert (answer.status_code, said["type"], answer.headers["connection"]) == (413, "too_large", "close")
    assert said["report"]["stored_lines"] == said["report"]["added"] == 500 == documents - 3


def test_a_key_that_is_revoked_meanwhile_stores_no_more(home, monkeypatch):
    monkeypatch.setattr(keys, "HELD_SECONDS", 0.0)
    key = new_key(home, scope="write")

    async def body():
        for batch in range(3):
            if batch == 2:
                revoke_key(local_caller(), location_of(home), key.split("_")[1])
            yield b"".join(b'{"id": "%d-%d", "text": "hello"}\n' % (batch, i) for i in range(500))

    async def ask(client):
        return await client.post("/v1/collections/a/documents", content=body(), headers=bearer(key))

    answer = ask_at_once(home, ask, keys="required")
    said = answer.json()["error"]
    assert (answer.status_code, said["type"]) == (401, "bad_key") and "is revoked" in said["message"]
    assert said["report"]["stored_lines"] == 1_000
