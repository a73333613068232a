"""Erasing over HTTP: keys that may, receipts, and what stays out."""

from __future__ import annotations

import json

import pytest

from indexing import Collection
from tests.services.api import bearer, client_of, new_key
from tests.unit.erasing.conftest import MARKER, SECRET, bytes_below, fill


@pytest.fixture
def served(home):
    with Collection.create("notes", home=home) as collection:
        fill(collection)
    with client_of(home, keys="required") as client:
        client.headers.update(bearer(new_key(home, scope="admin")))
        yield client


def test_erase_check_and_allow_again(served, home):
    found = served.get("/v1/collections/notes/search", params={"q": MARKER}).json()
    assert found["results"][0]["id"] == "secret"
    answer = served.post("/v1/collections/notes/erasures", json={"ids": ["secret", "nobody"]})
    receipt = answer.json()
    told = {name: receipt[name] for name in ("number", "state", "documents", "found", "who", "pending")}
    assert answer.status_code == 200
    assert told == {
        "number": 1,
        "state": "done",
        "documents": 2,
        "found": 1,
        "who": "tester",
        "pending": [],
    }
    assert served.get("/v1/collections/notes/documents/secret").status_code == 404
    assert SECRET.encode() not in bytes_below(home)
    line = json.dumps({"id": "secret", "text": "Anew."})
    stored = served.post("/v1/collections/notes/documents", content=line).json()
    assert stored["added"] == 0 and "stayed out" in stored["notes"][0]
    check = served.post("/v1/collections/notes/erasures/check").json()
    assert (check["clean"], check["denied"], check["problems"]) == (True, 2, [])
    allowed = served.post("/v1/collections/notes/erasures/allow", json={"ids": ["secret"]})
    assert allowed.json() == {"allowed": 1}
    assert served.post("/v1/collections/notes/documents", content=line).json()["added"] == 1
    listed = served.get("/v1/collections/notes/erasures").json()["erasures"]
    assert [one["number"] for one in listed] == [1]
    assert served.post("/v1/collections/notes/erasures/finish").json() == {"erasures": []}


@pytest.mark.parametrize(
    ("body", "status"),
    [({}, 400), ({"ids": []}, 422), ({"ids": ["a"], "filter": "x = 1"}, 400), ({"filter": "x ="}, 400)],
)
def test_what_names_nothing_or_too_much_erases_nothing(served, body, status):
    assert served.post("/v1/collections/notes/erasures", json=body).status_code == status
    assert served.get("/v1/collections/notes/erasures").json() == {"erasures": []}


def test_keys_of_other_scopes_and_collections_may_not(served, home):
    for key in (new_key(home, scope="write"), new_key(home, scope="admin", collections=["other"])):
        for method, path, body in (
            ("POST", "", {"ids": ["secret"]}),
            ("GET", "", None),
            ("POST", "/finish", None),
            ("POST", "/check", None),
            ("POST", "/allow", {"ids": ["secret"]}),
        ):
            url = f"/v1/collections/notes/erasures{path}"
            assert served.request(method, url, json=body, headers=bearer(key)).status_code == 403
    assert served.get("/v1/collections/notes/documents/secret").status_code == 200
