"""What the service says while Milvus, which has the vectors of a collection, is away."""

from __future__ import annotations

import re

import pytest

from app.jobs.worker import run_job
from app.settings import Location
from app.text import without_milvus
from app.ui.notices import _sentence
from indexing import Collection
from indexing.errors import MilvusFailed
from indexing.milvus import connection
from indexing.milvus.client import disconnect
from tests.services.api import client_of
from tests.unit.milvus.fake_milvus import FakeMilvus, serving


@pytest.fixture
def milvus(monkeypatch):
    fake = FakeMilvus()
    monkeypatch.setattr(connection, "FIRST_REST", 60.0)
    with serving(fake) as port:
        monkeypatch.setenv("STLIB_MILVUS", f"http://root:hush-hush@127.0.0.1:{port}")
        yield fake
        disconnect()


def test_searches_by_vectors_say_that_they_cannot_be_answered(tmp_path, milvus):
    with Collection.create("animals", home=tmp_path, engine="milvus") as collection:
        # So many that a search would not read them all from the catalog.
        collection.add(
            [{"id": f"bee-{number}", "text": f"Bees make honey, {number}."} for number in range(80)]
        )
        assert collection.refresh()
    with client_of(tmp_path) as client:
        assert client.get("/v1/collections/animals/search", params={"q": "honey"}).json()["results"]
        assert client.get("/readyz").json() == {"ready": True}
        milvus.server.stop(None).wait(2)
        with Collection.open("animals", home=tmp_path) as collection:
            collection.add([{"id": "dog", "text": "Dogs bark."}])  # what the service held is outdated
        refused = client.get("/v1/collections/animals/search", params={"q": "honey", "mode": "semantic"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        said = refused.json()["error"]
        assert said["type"] == "milvus_unavailable"
        assert not re.search(r"hush|127\.0\.0\.1|http:", said["message"])
        found = client.get("/v1/collections/animals/search", params={"q": "bark", "mode": "keyword"})
        assert [result["id"] for result in found.json()["results"]] == ["dog"]
        assert client.get("/readyz").json() == {"ready": True, "away": ["milvus"]}
        assert "stlib_milvus_away 1.0" in client.get("/metrics").text


def make_animals(home):
    with Collection.create("animals", home=home, engine="milvus") as collection:
        collection.add(
            [{"id": f"bee-{number}", "text": f"Bees make honey, {number}."} for number in range(80)]
        )
        assert collection.refresh()


def fail(location, arguments, report):
    with Collection.open("animals", **location.arguments()) as collection:
        collection.search("honey", mode="semantic")


def test_nothing_that_is_shown_says_where_milvus_is(tmp_path, milvus, monkeypatch):
    make_animals(tmp_path)
    milvus.server.stop(None).wait(2)
    monkeypatch.setattr("app.jobs.queue.spawn", lambda place, id_, *options: None)
    with client_of(tmp_path) as client:
        receipt = client.post("/v1/collections/animals/erasures", json={"ids": ["bee-1"]})
        checked = client.post("/v1/collections/animals/erasures/check")
        listed = client.get("/v1/collections/animals/erasures")
        job = client.post("/v1/jobs", json={"kind": "verify", "collection": "animals"}).json()["id"]
        run_job(Location(home=tmp_path), job)
        verified = client.get(f"/v1/jobs/{job}")
        with monkeypatch.context() as patched:
            patched.setattr("app.jobs.kinds.verify.run", fail)
            job = client.post("/v1/jobs", json={"kind": "verify", "collection": "animals"}).json()["id"]
            run_job(Location(home=tmp_path), job)
        failed = client.get(f"/v1/jobs/{job}")
    assert receipt.json()["state"] == "pending"
    assert verified.json()["result"]["errors"]
    for answer in (receipt, listed, verified, failed):
        assert "Milvus cannot be used at the moment: the log of the service says why" in answer.text
    assert failed.json()["state"] == "failed"
    for answer in (receipt, checked, listed, verified, failed):
        assert not re.search(r"hush|127\.0\.0\.1", answer.text)


def test_a_page_does_not_say_it(tmp_path, milvus):
    make_animals(tmp_path)
    milvus.server.stop(None).wait(2)
    with Collection.open("animals", home=tmp_path) as collection, pytest.raises(MilvusFailed) as caught:
        collection.search("honey", mode="semantic")
    assert "127.0.0.1" in str(caught.value)
    assert _sentence(caught.value) == "Milvus cannot be used at the moment: the log of the service says why"


@pytest.mark.parametrize(
    "error",
    [
        "Milvus at http://host:19530 cannot be reached (ipv4:1.2.3.4): start it",
        "the connection to Milvus at http://host was closed meanwhile: try again",
        "Milvus Lite at /srv/m.db is open in another process",
        "Milvus Lite cannot be opened at /srv/m.db: there is no folder /srv",
        "Milvus is needed: STLIB_MILVUS_TOKEN_FILE: /srv/host cannot be read: Permission denied",
        "Milvus: /srv/host.pem cannot be read: Permission denied",
    ],
)
def test_every_message_that_says_it_is_known(error):
    shown = without_milvus({"pending": [f"the indexes could not be made anew: {error}"], "found": 1})
    said = "Milvus cannot be used at the moment: the log of the service says why"
    assert shown == {"pending": [f"the indexes could not be made anew: {said}"], "found": 1}
    assert without_milvus("rows in Milvus, which was away: dropped later").endswith("dropped later")
