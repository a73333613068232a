"""What the service answers: the application in this process, over a real collection."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from starlette.testclient import TestClient

from app.api import service
from app.api.app import make_app
from app.api.settings import read_settings
from indexing import Collection
from indexing.errors import ConnectionLost
from tests.services.api import bearer, client_of, location_of, new_key, wait_until_ready

ANIMALS = [
    {"id": "bee", "text": "Bees make honey.", "title": "Bee", "metadata": {"kind": "insect", "legs": 6}},
    {"id": "cat", "text": "Cats purr when content.", "metadata": {"kind": "mammal", "legs": 4}},
    {"id": "a/dog.md", "text": "Dogs bark at strangers.", "metadata": {"kind": "mammal", "legs": 4}},
]


@pytest.fixture(scope="module", params=["home", "postgres"])
def where(request, tmp_path_factory):
    """A home, or the database of a server."""
    if request.param == "home":
        yield filled(tmp_path_factory.mktemp("service") / "home")
        return
    databases = request.getfixturevalue("postgres_databases")
    url = databases.create()
    yield filled(url)
    databases.drop(url)


def filled(where):
    with Collection.create("animals", **location_of(where).arguments()) as collection:
        collection.add(ANIMALS)
    return where


@pytest.fixture(scope="module")
def client(where):
    with client_of(where) as client:
        yield client


def test_it_lives_and_is_ready(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"ready": True}


def test_a_search_answers_as_the_collection_does(client, where):
    question = {"query": "who makes honey", "k": 2, "filter": "legs >= 4"}
    answer = client.post("/v1/collections/animals/search", json=question).json()
    by_address = client.get(
        "/v1/collections/animals/search", params={"q": "who makes honey", "k": 2, "filter": "legs >= 4"}
    ).json()
    with Collection.open("animals", **location_of(where).arguments()) as collection:
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


def test_documents_are_listed_changed_and_deleted(client):
    path = "/v1/collections/animals/documents"
    first = client.get(path, params={"limit": 2}).json()
    assert [one["id"] for one in first["documents"]] == ["a/dog.md", "bee"] and first["next"] == "bee"
    rest = client.get(path, params={"limit": 2, "after": "bee"}).json()
    assert ([one["id"] for one in rest["documents"]], rest["next"]) == (["cat"], None)
    mammals = client.get(path, params={"filter": "kind = 'mammal'"}).json()["documents"]
    assert mammals == [ANIMALS[2], ANIMALS[1]]
    assert client.get(f"{path}/a/dog.md").json() == client.get(f"{path}/a%2Fdog.md").json() == ANIMALS[2]
    changed = client.put(f"{path}/a/dog.md/metadata", json={"metadata": {"kind": "pet"}})
    assert changed.json() == {"id": "a/dog.md", "metadata": {"kind": "pet"}}
    assert client.get(f"{path}/a/dog.md").json()["metadata"] == {"kind": "pet"}
    assert client.delete(path, params={"filter": "kind = 'pet'"}).json() == {"deleted": ["a/dog.md"]}
    assert client.get(f"{path}/a/dog.md").status_code == 404
    assert client.delete(f"{path}/a/dog.md").status_code == 404
    assert client.post(path, content=json.dumps(ANIMALS[2])).json()["added"] == 1


def test_pages_of_an_answer_fit_together(client):
    path = "/v1/collections/animals/search"
    whole = client.post(path, json={"query": "an animal", "k": 3}).json()
    second = client.post(path, json={"query": "an animal", "k": 2, "offset": 1, "seq": whole["seq"]}).json()
    assert [one["id"] for one in second["results"]] == [one["id"] for one in whole["results"]][1:]
    assert (second["offset"], second["seq"]) == (1, whole["seq"])


def test_legs_rerankers_servings_and_what_is_shown_are_chosen(client):
    path = "/v1/collections/animals/search"
    words = client.post(path, json={"query": "honey", "mode": "keyword"}).json()
    assert [one["id"] for one in words["results"]] == ["bee"]
    plain = client.get(path, params={"q": "honey", "text": "false", "explain": "true", "serving": 1}).json()
    assert "text" not in plain["results"][0] and plain["steps"]["encode"] > 0 and plain["serving"] == 1
    reranked = client.post(path, json={"query": "honey", "rerank": "stlib-rerank-en"}).json()
    assert reranked["reranked"] == 3 and "reranked" not in plain
    assert "reranked" not in client.post(path, json={"query": "honey", "rerank": ""}).json()


def test_facets_count_values(client):
    counted = client.get("/v1/collections/animals/facets").json()
    assert counted["legs"]["values"] == [[4, 2], [6, 1]] and counted["kind"]["distinct"] == 2
    found = client.get("/v1/collections/animals/search", params={"q": "x", "facets": "true"}).json()
    assert found["facets"] == counted


def test_a_collection_is_described_without_its_place(client, where):
    said = client.get("/v1/collections/animals").json()
    assert (said["documents"], said["model"], said["modes"]) == (
        3,
        "stlib-static-en",
        ["hybrid", "semantic", "keyword"],
    )
    assert "path" not in said
    again = client.post("/v1/collections", json={"name": "animals"})
    assert (again.status_code, again.json()["error"]["type"]) == (409, "collection_exists")


def test_vectors_of_ones_own_go_in_and_are_asked(where):
    with Collection.create("own", dimension=3, **location_of(where).arguments()):
        pass
    lines = [{"id": "x", "text": "x", "vector": [1, 0, 0]}, {"id": "y", "text": "y", "vector": [0, 1, 0]}]
    wrong = [{"id": "a", "text": "a"}, {"id": "b", "text": "b", "vector": [1]}]
    wrong += [
        {"id": "c", "text": "c", "vector": ["1", 0, 0]},
        {"id": "d", "text": "d", "vector": [1e39, 0, 0]},
    ]
    with client_of(where, warm="own") as client:
        body = "\n".join(map(json.dumps, [*wrong, *lines]))
        report = client.post("/v1/collections/own/documents", content=body).json()
        assert (report["added"], [one["line"] for one in report["failures"]]) == (2, [1, 2, 3, 4])
        found = client.post(
            "/v1/collections/own/search", json={"vector": [0.1, 1, 0], "mode": "semantic"}
        ).json()
        assert [one["id"] for one in found["results"]] == ["y", "x"]


def test_keys_work_on_both(where):
    key = new_key(where, scope="write", collections=["animals"])
    with client_of(where, keys="required") as client:
        assert client.get("/v1/collections").status_code == 401
        listed = client.get("/v1/collections", headers=bearer(key)).json()["collections"]
        assert [one["name"] for one in listed] == ["animals"]


def test_a_search_that_takes_too_long_is_not_waited_for(where):
    with client_of(where, request_seconds=0.0001, warm="animals") as client:
        answer = client.get("/v1/collections/animals/search", params={"q": "honey"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "timeout")


def test_more_searches_than_the_service_bears_are_turned_away(where):
    with client_of(where, threads=1, queue=1, warm="animals") as client:
        with ThreadPoolExecutor(12) as pool:
            ask = lambda n: client.get("/v1/collections/animals/search", params={"q": f"honey {n}"})  # noqa: E731
            answers = list(pool.map(ask, range(48)))
        busy = [one for one in answers if one.status_code == 503]
        assert {one.status_code for one in answers} == {200, 503}
        assert busy[0].json()["error"]["type"] == "busy" and busy[0].headers["retry-after"] == "1"
        assert client.get("/v1/collections/animals/search", params={"q": "honey"}).status_code == 200


def test_it_is_not_ready_while_it_loads_or_ends(where):
    app = make_app(location_of(where), read_settings(keys="elsewhere"))
    client = TestClient(app, base_url="http://127.0.0.1")  # not entered, so that nothing is loaded
    assert client.get("/readyz").status_code == 503 and client.get("/healthz").status_code == 200
    with client:
        wait_until_ready(client)
        app.state.service.end()
        told = client.get("/readyz")
        assert (told.status_code, told.json(), told.headers["retry-after"]) == (503, {"ready": False}, "1")
        assert client.get("/v1/collections/animals").status_code == 200  # what is in flight goes on


def test_it_is_not_ready_before_its_catalog_can_be_reached(where, monkeypatch):
    listed, failures = service.list_collections, [ConnectionLost("away"), PermissionError("no")]

    def away(**given):
        if failures:
            raise failures.pop()
        return listed(**given)

    monkeypatch.setattr(service, "list_collections", away)
    monkeypatch.setattr(service, "_FIRST_WAIT_SECONDS", 0.3)
    app = make_app(location_of(where), read_settings())
    told = []
    app.state.service.ready_callbacks.append(lambda: told.append(len(failures)))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        assert client.get("/readyz").status_code == 503 and not told
        wait_until_ready(client)
        assert told == [0]
