"""`stlib mcp` as a client starts it: what it offers, answers and refuses."""

from __future__ import annotations

import json

import pytest
from mcp import MCPError

from app.mcp.addresses import Address
from indexing import Collection

READING = [
    "search",
    "fetch",
    "list_collections",
    "describe_collection",
    "search_collection",
    "get_documents",
    "list_documents",
]


@pytest.fixture(scope="module")
def talk(agents_home, talk_with, started):
    with talk_with(started("--home", agents_home)) as one:
        yield one


@pytest.fixture(scope="module")
def animals(agents_home):
    with Collection.open("animals", home=agents_home) as collection:
        yield collection


def test_what_only_reads_says_so(talk):
    tools = talk.list_tools().tools
    assert [tool.name for tool in tools] == READING
    for tool in tools:
        hints = tool.annotations
        assert (hints.read_only_hint, hints.destructive_hint, hints.open_world_hint) == (True, False, False)
        assert tool.title and tool.description and tool.output_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
    assert [list(tool.input_schema["properties"]) for tool in tools[:2]] == [["query"], ["id"]]


def test_search_has_the_shape_of_connectors(talk, animals):
    said = talk.call_tool("search", {"query": "which animal makes honey"})
    [text] = said.content
    assert json.loads(text.text) == said.structured_content
    results = said.structured_content["results"]
    assert all(list(one) == ["id", "title", "url"] for one in results)
    assert results[0] == {"id": "animals/bee", "title": "Bee", "url": "stlib://documents/animals/bee"}
    # The two collections take turns, each in the order of its own answer.
    of_animals = [one["id"] for one in results if one["id"].startswith("animals/")]
    assert of_animals == [f"animals/{one.id}" for one in animals.search("which animal makes honey")]
    assert [one["id"].split("/")[0] for one in results[:4]] == ["animals", "names", "animals", "names"]
    assert len(results) == 10


def test_fetch_reads_a_long_text_in_pieces(talk):
    id_, text, pieces = "animals//docs/eel.md#1", "", 0
    while id_ is not None:
        said = talk.call_tool("fetch", {"id": id_})
        piece = said.structured_content
        assert json.loads(said.content[0].text) == piece
        assert list(piece) == ["id", "title", "text", "url", "metadata"]
        assert (piece["id"], piece["title"], piece["url"]) == (
            id_,
            "/docs/eel.md#1",
            "https://example.org/eel",
        )
        assert piece["metadata"]["kind"] == "fish"
        assert piece["metadata"]["stlib"]["characters"] == 240_000
        text, pieces = text + piece["text"], pieces + 1
        id_ = piece["metadata"]["stlib"].get("next")
    assert (text, pieces) == ("Eels swim far to spawn. " * 10_000, 3)


def test_collections_are_listed_and_described(talk):
    assert talk.ask("list_collections") == {
        "collections": [{"name": "animals", "documents": 4}, {"name": "names", "documents": 230}],
        "unreadable": [],
        "next_offset": None,
    }
    said = talk.ask("describe_collection", collection="animals")
    assert (said["documents"], said["model"]) == (4, "stlib-static-en")
    assert said["modes"] == ["hybrid", "semantic", "keyword"]
    assert said["fields"][0] == {
        "name": "kind",
        "documents": 4,
        "distinct": 3,
        "values": [
            {"value": "mammal", "documents": 2},
            {"value": "fish", "documents": 1},
            {"value": "insect", "documents": 1},
        ],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"query": "honey"},
        {"query": "honey", "filter": "kind = 'mammal' and legs >= 4"},
        {"query": "purr", "mode": "keyword"},
        {"query": "purr", "mode": "semantic", "k": 2, "offset": 1},
        {"query": "who barks", "rerank": "stlib-rerank-en"},
    ],
)
def test_one_collection_answers_as_in_a_program(talk, animals, given):
    said = talk.ask("search_collection", collection="animals", **given)
    filter = given.get("filter")
    expected = animals.search(**{**given, "filter": filter})
    assert [one["id"] for one in said["results"]] == [one.id for one in expected]
    for one, result in zip(said["results"], expected, strict=True):
        assert one["score"] == pytest.approx(result.score, rel=1e-4)
        assert one["snippet"] == result.snippet.text
        assert one["fetch_id"] == f"animals/{result.id}"
        assert one["metadata"] == result.metadata


def test_pages_follow_each_other(talk):
    given = {"collection": "names", "query": "the name of a bee", "k": 50}
    pages = [talk.ask("search_collection", **given)]
    while pages[-1]["next_offset"] is not None:
        page = talk.ask("search_collection", **given, offset=pages[-1]["next_offset"], seq=pages[0]["seq"])
        pages.append(page)
    ids = [one["id"] for page in pages for one in page["results"]]
    assert (len(ids), len(set(ids)), len(pages)) == (230, 230, 5)


def test_documents_by_id_and_in_order(talk):
    said = talk.ask("get_documents", collection="animals", ids=["cat", "none", "bee"], most_characters=4)
    assert [(one["id"], one["text"], one["characters"]) for one in said["documents"]] == [
        ("cat", "Cats", 23),
        ("bee", "Bees", 29),
    ]
    assert said["missing"] == ["none"]
    said = talk.ask("list_documents", collection="animals", filter="kind = 'mammal'", limit=1)
    assert ([one["id"] for one in said["documents"]], said["matching"], said["next_after"]) == (
        ["cat"],
        2,
        "cat",
    )
    said = talk.ask("list_documents", collection="animals", filter="kind = 'mammal'", after="cat")
    assert ([one["id"] for one in said["documents"]], said["next_after"]) == (["dog"], None)


REFUSED = [
    ("search_collection", {"collection": "none"}, "no collection 'none' here: use one of animals, names"),
    ("search_collection", {"collection": "../animals"}, "no collection '../animals' here: use one of"),
    ("search_collection", {"k": 51}, "k = '51': input should be less than or equal to 50"),
    ("search_collection", {"colour": 1}, "there is no 'colour'; it takes collection, query, k,"),
    ("search_collection", {"mode": "magic"}, "mode = 'magic': input should be 'hybrid', 'semantic'"),
    ("search_collection", {"mode": "sparse"}, "sparse"),
    ("search_collection", {"filter": "legs ="}, "filter, position 7: the filter ends"),
    ("search_collection", {"rerank": "/tmp/model"}, "rerank '/tmp/model': use one of stlib-rerank-en"),
    ("describe_collection", {}, "collection is missing"),
    ("fetch", {"id": "bee"}, "give COLLECTION/DOCUMENT"),
    ("fetch", {"id": "animals/wasp"}, "no document 'wasp' in 'animals': search again"),
    ("get_documents", {"collection": "animals", "ids": ["x"] * 21}, "at most 20 items"),
    ("delete_documents", {"ids": ["bee"]}, "there is no tool 'delete_documents' here: use one of search,"),
]


@pytest.mark.parametrize(("tool", "given", "said"), REFUSED)
def test_a_refusal_says_what_to_do(talk, tool, given, said):
    usual = {"collection": "animals", "query": "x"} if tool == "search_collection" else {}
    assert said in talk.refusal(tool, **{**usual, **given})


def test_resources_are_all_documents_in_pages(talk):
    pages = [talk.list_resources()]
    while pages[-1].next_cursor is not None:
        pages.append(talk.list_resources(cursor=pages[-1].next_cursor))
    assert max(len(page.resources) for page in pages) == 100
    uris = [one.uri for page in pages for one in page.resources]
    assert uris[:2] == ["stlib://collections/animals", "stlib://collections/names"]
    assert [Address.from_uri(uri).document for uri in uris[2:6]] == ["/docs/eel.md#1", "bee", "cat", "dog"]
    assert uris[6:] == [f"stlib://documents/names/n{number:03}" for number in range(230)]
    templates = talk.list_resource_templates().resource_templates
    assert [one.uri_template for one in templates] == [
        "stlib://documents/{collection}/{id}{?start}",
        "stlib://collections/{collection}",
    ]


def test_a_resource_is_read_in_pieces(talk):
    uri, text = Address("animals", "/docs/eel.md#1").uri, ""
    while uri is not None:
        [piece] = talk.read_resource(uri).contents
        assert (piece.uri, piece.mime_type, piece.meta["stlib/characters"]) == (uri, "text/plain", 240_000)
        text += piece.text
        uri = piece.meta.get("stlib/next")
    assert text == "Eels swim far to spawn. " * 10_000
    [said] = talk.read_resource("stlib://collections/animals").contents
    assert json.loads(said.text) == talk.ask("describe_collection", collection="animals")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("stlib://documents/animals/wasp", "no document 'wasp' in 'animals'"),
        ("stlib://documents/none/bee", "no collection 'none' here: use one of animals, names"),
        ("stlib://documents/animals/bee/more", "is no resource here: use stlib://documents/"),
        ("file:///etc/passwd", "is no resource here: use stlib://documents/"),
    ],
)
def test_what_is_no_resource_is_refused(talk, uri, said):
    with pytest.raises(MCPError, match=said):
        talk.read_resource(uri)


def test_a_cursor_of_somebody_else_is_refused(talk):
    with pytest.raises(MCPError, match="list from the beginning"):
        talk.list_resources(cursor="bm9uc2Vuc2U=")
