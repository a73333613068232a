"""Four animals, two people, and a log that is written out at the end of each test."""

from __future__ import annotations

import pytest

from app.cli import main
from app.facade.caller import Caller
from app.facade.search import SearchRequest, search
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import close_databases
from app.settings import Location
from indexing import Collection

ANIMALS = [
    {"id": "whale", "text": "Whales breathe air through a blowhole.", "metadata": {"legs": 0}},
    {"id": "bee", "text": "Bees make honey and dance to show flowers.", "metadata": {"legs": 6}},
    {"id": "dog", "text": "Dogs bark at strangers and guard the house.", "metadata": {"legs": 4}},
    {"id": "cat", "text": "Cats purr when they are content.", "metadata": {"legs": 4}},
]
HONEY = "who makes honey?"


@pytest.fixture
def location(home):
    location = Location(home)
    yield location
    feedback_log(feedback_place(location)).flush()
    close_databases()


@pytest.fixture
def place(location):
    return feedback_place(location)


@pytest.fixture
def animals(location):
    with Collection.create("animals", **location.arguments()) as collection:
        collection.add(ANIMALS)
        yield collection


@pytest.fixture
def ann():
    return Caller("ann", "page", "visit-1")


@pytest.fixture
def ben():
    return Caller("ben", "page", "visit-2")


@pytest.fixture
def ask(animals, location, place):
    """Asks as the page does; what is kept of it is on the disk when the answer is there."""

    def ask(caller, question=HONEY, **request):
        found = search(animals, SearchRequest(q=question, **request), caller=caller, location=location)
        assert feedback_log(place).flush()
        return found

    return ask


@pytest.fixture
def stlib(capsys, monkeypatch, location):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(location.home))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        feedback_log(feedback_place(location)).flush()
        return (end.value.code, *capsys.readouterr())

    return run
