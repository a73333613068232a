"""MCP over HTTP: the same answers, for whoever comes with a key, as far as it lets them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager

import httpx
import pytest
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from indexing import Collection
from tests.services.api import bearer, client_of, new_key, running_service
from tests.unit.agents.conftest import ANIMALS

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPTS = {"Accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def service_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("agents over HTTP")
    for name in ("animals", "secret"):
        with Collection.create(name, home=home) as collection:
            collection.add(ANIMALS)
    return home


@pytest.fixture(scope="module")
def service(service_home):
    command = ("mcp", "--http", "--write")
    with running_service(service_home, command=command, keys="required", workers=2) as running:
        yield running


@asynccontextmanager
async def with_key(url, key):
    """A connection whose requests come with a key."""
    async with (
        create_mcp_http_client(headers=bearer(key)) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams


@pytest.fixture(scope="module")
def talk_as(service, service_home, talk_with):
    """What a key may -> a client that comes with such a key."""
    with ExitStack() as stack:

        def connected(**choices):
            key = new_key(service_home, **choices)
            return stack.enter_context(talk_with(with_key(f"{service.url}/mcp", key)))

        yield connected


@pytest.fixture(scope="module")
def reader(talk_as):
    return talk_as(scope="read")


def test_the_answers_are_those_of_a_program(reader, service_home):
    with Collection.open("animals", home=service_home) as animals:
        expected = [one.id for one in animals.search("which animal makes honey")]
    said = reader.ask("search_collection", collection="animals", query="which animal makes honey")
    assert [one["id"] for one in said["results"]] == expected
    results = reader.ask("search", query="which animal makes honey")["results"]
    assert results[0] == {"id": "animals/bee", "title": "Bee", "url": "stlib://documents/animals/bee"}
    assert reader.ask("fetch", id="animals/bee")["text"] == ANIMALS[0]["text"]
    assert len(reader.list_resources().resources) == 2 + 2 * len(ANIMALS)
    [text] = reader.read_resource("stlib://documents/secret/cat").contents
    assert text.text == ANIMALS[1]["text"]


def test_a_key_to_read_does_not_write(reader):
    assert all(tool.annotations.read_only_hint for tool in reader.list_tools().tools)
    said = reader.refusal("delete_documents", collection="animals", ids=["bee"])
    assert said.startswith("there is no tool 'delete_documents' here")


def test_a_key_for_one_collection_sees_no_other(talk_as):
    one = talk_as(scope="write", collections=["animals"])
    said = "no collection 'secret' here: use one of animals"
    assert [it["name"] for it in one.ask("list_collections")["collections"]] == ["animals"]
    assert one.refusal("search_collection", collection="secret", query="honey") == said
    assert one.refusal("add_documents", collection="secret", documents=[{"id": "x", "text": "y"}]) == said
    assert {it["id"].split("/")[0] for it in one.ask("search", query="honey")["results"]} == {"animals"}
    assert one.ask("add_documents", collection="animals", documents=[{"id": "x", "text": "y"}])["added"] == 1
    assert one.ask("delete_documents", collection="animals", ids=["x"])["deleted"] == ["x"]


def test_many_ask_at_once(reader):
    animals = {"which animal makes honey": "bee", "who purrs": "cat", "who barks at strangers": "dog"}
    questions = list(animals) * 8

    def ask(question):
        found = reader.ask("search_collection", collection="animals", query=question, k=1)
        return found["results"][0]["id"]

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, questions)) == [animals[one] for one in questions]


def post(service, headers, body=HELLO):
    return httpx.post(f"{service.url}/mcp", json=body, headers={**ACCEPTS, **headers}, timeout=30)


def test_who_has_no_key_gets_nothing(service, service_home):
    assert post(service, {}).status_code == 401
    assert post(service, bearer("stlib_nonsense")).status_code == 401
    assert post(service, bearer(new_key(service_home))).json()["result"]["serverInfo"]["name"] == "stlib"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Host": "evil.example:80"}, 421), ({"Origin": "https://evil.example"}, 403)],
)
def test_a_page_of_a_stranger_is_refused(service, service_home, headers, status):
    assert post(service, {**bearer(new_key(service_home)), **headers}).status_code == status


def test_there_are_no_sessions_to_take_over(service, service_home):
    key = bearer(new_key(service_home))
    answer = post(service, {**key, "Mcp-Session-Id": "of somebody else"})
    assert (answer.status_code, "mcp-session-id" in answer.headers) == (200, False)
    for method in ("GET", "DELETE"):
        assert httpx.request(method, f"{service.url}/mcp", headers={**key, **ACCEPTS}).status_code == 405


def test_a_large_or_broken_body_is_refused(service, service_home):
    key = bearer(new_key(service_home))
    large = post(service, key, {**HELLO, "padding": "x" * (9 << 20)})
    assert large.status_code == 413
    headers = {**key, **ACCEPTS, "Content-Type": "application/json"}
    broken = httpx.post(f"{service.url}/mcp", content=b'{"jsonrpc": ' * 500, headers=headers)
    assert broken.status_code == 400


def test_without_being_told_so_the_service_has_no_agents(service_home):
    with client_of(service_home) as client:
        assert client.post("/mcp", json=HELLO, headers=ACCEPTS).status_code == 404
    with client_of(service_home, mcp="read", mcp_names="animals") as client:
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        tools = client.post("/mcp", json=call, headers=ACCEPTS).json()["result"]["tools"]
        assert all(tool["annotations"]["readOnlyHint"] for tool in tools)  # though nobody asks for a key here
        call = {**call, "method": "tools/call", "params": {"name": "list_collections", "arguments": {}}}
        said = client.post("/mcp", json=call, headers=ACCEPTS).json()["result"]["structuredContent"]
        assert [one["name"] for one in said["collections"]] == ["animals"]
