"""How much goes out, and what of this machine: the server in this process."""

from __future__ import annotations

import json

import pytest

from app.facade.caller import Caller
from app.facade.opened import OpenCollections
from app.mcp.asked import Asked
from app.mcp.limits import MOST_TEXT
from app.mcp.rights import READS
from app.mcp.server import make_server
from app.settings import Location
from indexing import Collection

LONG = "Bees make honey from flowers. " * 5_000
IDS = [f"{number}" for number in range(20)]


@pytest.fixture
def ask(home, talk_with):
    """Whether it is a person of this machine -> a client."""
    held = OpenCollections(Location(home))

    def connected(*, local):
        caller = Caller("somebody", "mcp", "session", READS)
        return talk_with(make_server(lambda context: Asked(caller, held, local=local)))

    yield connected
    held.close()


def test_answers_are_bounded_whatever_documents_hold(home, ask):
    wide = {f"field {number}": "x" * 5_000 for number in range(100)}
    with Collection.create("wide", home=home) as collection:
        texts = [LONG] * 2 + ["Bees make honey."] * 18
        collection.add(
            {"id": id_, "title": "T" * 500, "text": text, "metadata": wide}
            for id_, text in zip(IDS, texts, strict=True)
        )
    many = {"collection": "wide", "ids": IDS}
    with ask(local=True) as talk:
        calls = [
            ("search", {"query": "honey"}, 10_000),
            ("search_collection", {"collection": "wide", "query": "honey", "k": 50}, 20 * 15_000),
            ("fetch", {"id": "wide/1"}, MOST_TEXT + 20_000),
            ("get_documents", many, 20 * 20_000),
            ("get_documents", {**many, "most_characters": MOST_TEXT}, 8 * MOST_TEXT),
            ("list_documents", {"collection": "wide", "limit": 100}, 20 * 10_000),
            ("describe_collection", {"collection": "wide"}, 30 * 1_000),
        ]
        for tool, given, most in calls:
            assert len(json.dumps(talk.ask(tool, **given))) < most, tool


def test_search_asks_no_more_collections_than_it_can(home, ask, monkeypatch):
    monkeypatch.setattr("app.mcp.running.research.MOST_COLLECTIONS", 2)
    for name in ("a", "b", "c"):
        Collection.create(name, home=home).close()
    with ask(local=True) as talk:
        assert "there are 3 collections, and search asks 2 at most" in talk.refusal("search", query="honey")
        assert talk.ask("search_collection", collection="b", query="honey")["results"] == []


def test_errors_name_files_to_a_person_of_this_machine_alone(home, ask, caplog):
    with Collection.create("odd", home=home) as collection:
        collection.add([{"id": "1", "text": "Bees make honey."}])
    catalog = home / "collections" / "odd" / "catalog.sqlite"
    catalog.write_bytes(b"no database" * 1000)
    with ask(local=True) as talk:
        assert str(catalog) in talk.refusal("search_collection", collection="odd", query="honey")
    with ask(local=False) as talk:
        said = talk.refusal("search_collection", collection="odd", query="honey")
    assert said.startswith("this failed for a reason of the server's")
    assert str(home) not in said and str(catalog) in caplog.text


def test_a_server_without_collections_says_so(ask):
    with ask(local=True) as talk:
        assert talk.ask("list_collections")["collections"] == []
        assert talk.refusal("search", query="honey") == "there is no collection here that you may read"
        said = "no collection 'x' here: there is none that you may read"
        assert talk.refusal("search_collection", collection="x", query="honey") == said
        assert talk.list_resources().resources == []
