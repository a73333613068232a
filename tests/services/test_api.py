"""What the service answers: the application in this process, over a real collection."""

from __future__ import annotations

import json

import pytest

from indexing import Collection
from tests.services.api import client_of

ANIMALS = [
    {"id": "bee", "text": "Bees make honey.", "title": "Bee", "metadata": {"kind": "insect", "legs": 6}},
    {"id": "cat", "text": "Cats purr when content.", "metadata": {"kind": "mammal", "legs": 4}},
    {"id": "a/dog.md", "text": "Dogs bark at strangers.", "metadata": {"kind": "mammal", "legs": 4}},
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("service") / "home"
    with Collection.create("animals", home=home) as collection:
        collection.add(ANIMALS)
    return home


@pytest.fixture(scope="module")
def client(home):
    with client_of(home) as client:
        yield client


def test_it_lives_and_is_ready(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"ready": True}


def test_a_search_answers_as_the_collection_does(client, home):
    question = {"query": "who makes honey", "k": 2, "filter": "legs >= 4"}
    answer = client.post("/v1/collections/animals/search", json=question).json()
    by_address = client.get(
        "/v1/collections/animals/search", params={"q": "who makes honey", "k": 2, "filter": "legs >= 4"}
    ).json()
    with Collection.open("animals", home=home) as collection:
        own = json.loads(json.dumps(collection.search("who makes honey", 2, filter="legs >= 4").to_dict()))
    for one in (answer, by_address, own):
        del one["id"], one["took_ms"]
    assert answer == by_address == own
    assert answer["results"][0]["id"] == "bee"


def test_documents_go_in_as_lines_and_come_out_by_id(client):
    lines = [json.dumps({"id": f"{i}", "text": f"number {i}"}).encode() for i in range(1200)]
    lines[700] = b'{"id": "bad"'
    made = client.post("/v1/collections", json={"name": "numbers"})
    assert (made.status_code, made.json()["documents"]) == (201, 0)
    report = client.post("/v1/collections/numbers/documents", content=b"\n".join(lines)).json()
    assert {name: report[name] for name in ("stored_lines", "added", "failed")} == {
        "stored_lines": 1200,
        "added": 1199,
        "failed": 1,
    }
    assert [(one["line"], one["id"]) for one in report["failures"]] == [(701, None)]
    assert client.get("/v1/collections/numbers/documents/699").json() == {"id": "699", "text": "number 699"}
    assert client.delete("/v1/collections/numbers", params={"confirm": "numbers"}).status_code == 204
    assert client.get("/v1/collections/numbers").status_code == 404
