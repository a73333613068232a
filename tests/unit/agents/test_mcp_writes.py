"""`stlib mcp --write`: tools that change something, and what they say of it."""

from __future__ import annotations

import pytest

from app.facade.caller import local_caller
from app.facade.feedback import list_feedback
from app.settings import Location
from indexing import Collection
from tests.unit.agents.conftest import ANIMALS


@pytest.fixture(scope="module")
def own_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("agents that write")
    for name in ("animals", "secret"):
        with Collection.create(name, home=home) as collection:
            collection.add(ANIMALS)
    return home


@pytest.fixture(scope="module")
def talk(own_home, talk_with, started):
    with talk_with(started("animals", "--write", "--home", own_home)) as one:
        yield one


@pytest.fixture
def stored(own_home):
    with Collection.open("animals", home=own_home) as collection:
        yield collection


def test_tools_that_write_say_what_they_do(talk):
    hints = {tool.name: tool.annotations for tool in talk.list_tools().tools}
    writing = [name for name, hint in hints.items() if not hint.read_only_hint]
    assert writing == ["add_documents", "delete_documents", "judge_answer"]
    assert [hints[name].destructive_hint for name in writing] == [True, True, False]


def test_documents_are_stored_replaced_and_deleted(talk, stored):
    ant = {
        "id": "ant",
        "title": "Ant",
        "text": "Ants carry leaves.",
        "metadata": {"legs": 6, "tags": ["small"]},
    }
    said = talk.ask("add_documents", collection="animals", documents=[ant, {"id": "x", "text": " "}])
    assert (said["added"], said["updated"]) == (1, 0)
    assert [one["number"] for one in said["failed"]] == [2] and "is empty" in said["failed"][0]["reason"]
    assert stored.get(["ant"])["ant"].to_dict() == ant
    said = talk.ask("add_documents", collection="animals", documents=[{**ant, "text": "Ants keep aphids."}])
    assert (said["added"], said["updated"]) == (0, 1)
    found = talk.ask("search_collection", collection="animals", query="who keeps aphids", k=1)["results"]
    assert [(one["id"], one["snippet"]) for one in found] == [("ant", "Ants keep aphids.")]
    said = talk.ask("delete_documents", collection="animals", ids=["ant", "none"])
    assert said == {"deleted": ["ant"], "missing": ["none"]}
    assert "ant" not in stored


def test_what_an_agent_says_of_an_answer_is_kept(talk, stored, own_home):
    found = talk.ask("search_collection", collection="animals", query="who purrs")
    said = talk.ask(
        "judge_answer",
        collection="animals",
        query="who purrs",
        document="cat",
        verdict="grade",
        grade=2,
        impression=found["impression"],
    )
    assert said == {"document": "cat", "verdict": "grade", "grade": 2}
    assert "no document 'wasp'" in talk.refusal(
        "judge_answer", collection="animals", query="who purrs", document="wasp", verdict="up"
    )
    kept = list(list_feedback(local_caller(), Location(own_home), stored))
    [saying] = [one for one in kept if one["what"] == "saying"]
    assert (saying["document"], saying["grade"], saying["source"]) == ("cat", 2, "mcp")
    assert saying["impression"] == found["impression"]


def test_other_collections_are_not_there(talk):
    assert [one["name"] for one in talk.ask("list_collections")["collections"]] == ["animals"]
    said = "no collection 'secret' here: use one of animals"
    assert talk.refusal("search_collection", collection="secret", query="honey") == said
    assert talk.refusal("fetch", id="secret/bee") == said
    assert talk.refusal("delete_documents", collection="secret", ids=["bee"]) == said
    assert talk.refusal("search_collection", collection="nowhere", query="x") == said.replace(
        "secret", "nowhere"
    )
    results = talk.ask("search", query="honey")["results"]
    assert {one["id"].split("/")[0] for one in results} == {"animals"}


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([{"id": "a", "text": "b"}] * 101, "at most 100 items"),
        ([{"id": "a", "text": "b", "vector": [1.0]}], "there is no 'documents.0.vector'"),
        ([{"id": "a", "text": "b" * 1_000_001}], "at most 1000000 characters"),
    ],
)
def test_what_is_too_much_is_refused_before_anything_is_stored(talk, stored, documents, said):
    assert said in talk.refusal("add_documents", collection="animals", documents=documents)
    assert "a" not in stored
