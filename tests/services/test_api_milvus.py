"""What the service says while Milvus, which has the vectors of a collection, is away."""

from __future__ import annotations

import re

import pytest

from indexing import Collection
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
