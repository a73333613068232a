"""What the service counts: by one process, and by several together."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import ExitStack

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.api.telemetry.metrics import STEPS
from app.facade.caller import local_caller
from app.facade.collections import start_verifying
from app.settings import Location
from indexing import Collection
from tests.services.api import bearer, client_of, new_key, running_service


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("metrics") / "home"
    with Collection.create("notes", home=home) as collection:
        collection.add([{"id": "a", "text": "Audits are in May."}, {"id": "b", "text": "Tea at four."}])
    return home


def read(client, headers=None):
    """(name, labels in order) → value."""
    answer = client.get("/metrics", headers=headers)
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def read_settled(client):
    """The same once the request that asks is the only one in flight: one whose answer is there may be counted
    for a moment more.
    """
    deadline = time.monotonic() + 30
    while (shown := read(client))["stlib_http_requests_in_flight",] != 1:
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
    return shown


def test_requests_searches_and_steps_are_counted(home):
    with client_of(home) as client:
        before = read(client)
        found = client.get("/v1/collections/notes/search", params={"q": "audit", "explain": True}).json()
        client.get("/v1/collections/none/search", params={"q": "audit"})
        client.get("/v1/collections/notes/search", params={"q": "audit", "filter": "a ="})
        for path in ("/nothing/here", "/nothing/there"):
            client.get(path)
        client.request("BREW", "/v1/collections")
        client.post("/v1/embeddings", json={"model": "stlib-static-en", "input": ["one two", "three"]})
        client.post("/v1/rerank", json={"query": "tea", "documents": ["tea", "audit", "lunch"]})
        after = read(client)

    def counted(*key):
        return after.get(key, 0) - before.get(key, 0)

    route = "/v1/collections/{name}/search"
    for status, count in (("200", 1), ("404", 1), ("400", 1)):
        assert counted("stlib_http_requests_total", "GET", route, status) == count
    assert counted("stlib_http_requests_total", "GET", "unknown", "404") == 2
    assert (
        counted("stlib_http_requests_total", "other", "unknown", "405")
        + counted("stlib_http_requests_total", "other", "/v1/collections", "405")
        == 1
    )
    assert counted("stlib_http_request_seconds_count", "GET", route) == 3
    assert counted("stlib_searches_total", "hybrid", "answered") == 1
    for step in found["steps"]:
        assert counted("stlib_search_step_seconds_count", step) >= 1
        assert step in STEPS
    assert counted("stlib_embedded_texts_total") == 2
    assert counted("stlib_embedded_tokens_total") == 3
    assert counted("stlib_reranked_documents_total") == 3
    assert after["stlib_http_requests_in_flight",] == 1  # the one that asks
    assert after["process_resident_memory_bytes",] > 0


def test_jobs_and_lag_are_looked_up(home, monkeypatch):
    monkeypatch.setenv("STLIB_JOBS", "0")  # nobody starts what waits
    start_verifying(local_caller(), Location(home), "notes")
    with sqlite3.connect(home / "jobs.sqlite") as table:
        columns = [row[1] for row in table.execute("PRAGMA table_info(job)") if row[1] != "id"]
        copied = ", ".join("'x' || kind" if name == "kind" else name for name in columns)
        table.execute(f"INSERT INTO job ({', '.join(columns)}) SELECT {copied} FROM job")
    with client_of(home) as client:
        shown = read(client)
        assert shown["stlib_jobs", "other", "queued"] == 1  # a table may come with somebody else's home
        assert shown["stlib_jobs", "verify", "queued"] == 1
        assert (shown["stlib_collections",], shown["stlib_collection_documents", "notes"]) == (1, 2)
        assert shown["stlib_index_lag_changes", "notes", "keyword"] == 2  # no snapshot is worth it yet
        assert shown["stlib_index_lag_changes", "notes", "generation"] == 0
        with Collection.open("notes", home=home) as collection:
            assert collection.refresh()
    with client_of(home) as client:
        assert read(client)["stlib_index_lag_changes", "notes", "keyword"] == 0


def test_numbers_are_for_keys_of_all_collections(home):
    with client_of(home, keys="required") as client:
        assert client.get("/metrics").status_code == 401
        narrow = bearer(new_key(home, collections=["notes"], scope="admin"))
        assert client.get("/metrics", headers=narrow).status_code == 403
        assert client.get("/metrics", headers=bearer(new_key(home, scope="read"))).status_code == 200


def test_processes_count_together(home):
    with running_service(home, workers=2) as service, ExitStack() as open_clients:
        # Each keeps its connection, two to a process.
        clients = [open_clients.enter_context(service.client()) for _ in range(4)]
        for client in clients:
            for _ in range(5):
                assert client.get("/v1/collections/notes/search", params={"q": "tea"}).status_code == 200
        key = ("stlib_http_requests_total", "GET", "/v1/collections/{name}/search", "200")
        shown = [read_settled(client) for client in clients]
        assert [one[key] for one in shown] == [20] * 4
        assert shown[0]["stlib_searches_total", "hybrid", "answered"] >= 20
        open_clients.close()
        killed = service.workers()[0]
        os.kill(killed, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while killed in (there := service.workers()) or len(there) < 2:
            assert time.monotonic() < deadline, there
            time.sleep(0.05)
        with service.client() as client:
            assert read_settled(client)[key] == 20
