"""The official client against the real server."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters

from indexing import Collection

ROOT = Path(__file__).resolve().parents[3]
COMMAND = ["-c", "from app.cli import main; main()", "mcp"]

ANIMALS = [
    {
        "id": "bee",
        "title": "Bee",
        "text": "Bees make honey from flowers.",
        "metadata": {"kind": "insect", "legs": 6},
    },
    {
        "id": "cat",
        "title": "Cat",
        "text": "Cats purr when content.",
        "metadata": {"kind": "mammal", "legs": 4},
    },
    {
        "id": "dog",
        "title": "Dog",
        "text": "Dogs bark at strangers.",
        "metadata": {"kind": "mammal", "legs": 4},
    },
    {
        "id": "/docs/eel.md#1",
        "title": "",
        "text": "Eels swim far to spawn. " * 10_000,
        "metadata": {"kind": "fish", "url": "https://example.org/eel"},
    },
]
NAMES = [f"n{number:03}" for number in range(230)]


@pytest.fixture(scope="session")
def agents_home(tmp_path_factory):
    """A home with a few animals, and 230 names."""
    home = tmp_path_factory.mktemp("agents")
    with Collection.create("animals", home=home) as animals:
        animals.add(ANIMALS)
    with Collection.create("names", home=home) as names:
        names.add([{"id": name, "text": f"The name {name} of a bee."} for name in NAMES])
    return home


class Talk:
    """A client that is spoken to without `await`."""

    def __init__(self, portal, client):
        self._portal = portal
        self._client = client

    def __getattr__(self, name):
        """`talk.list_tools()` and its kin."""
        method = getattr(self._client, name)
        return lambda *given, **named: self._portal.call(partial(method, *given, **named))

    def ask(self, tool, **arguments):
        """What a tool gave."""
        said = self.call_tool(tool, arguments)
        assert not said.is_error, said.content[0].text
        return said.structured_content

    def refusal(self, tool, **arguments):
        """What it said in place of an answer."""
        said = self.call_tool(tool, arguments)
        assert said.is_error and said.structured_content is None and len(said.content) == 1
        return said.content[0].text


@pytest.fixture(scope="session")
def talk_with():
    """A context: what the client may be connected to -> `Talk`."""
    from contextlib import contextmanager

    @contextmanager
    def connected(server):
        with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(server)) as client:
            yield Talk(portal, client)

    return connected


@pytest.fixture(scope="session")
def started():
    """Arguments of `stlib mcp` -> how a client starts it."""
    import os

    def parameters(*arguments):
        kept = {name: os.environ[name] for name in ("STLIB_STATE",)}
        return StdioServerParameters(
            command=sys.executable,
            args=[*COMMAND, *map(str, arguments)],
            env={**kept, "PYTHONPATH": str(ROOT)},
        )

    return parameters
