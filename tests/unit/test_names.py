"""Names that a person may give stand in one place, and everyone who acts on them agrees with it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from app.cli import evaluate, index, search
from app.mcp.tools.reading import SEARCH_COLLECTION
from indexing import Collection, names
from indexing.search.rerank import Reranking
from indexing.vectors import engine_class
from stlib.runtime import BUNDLED_MODEL_NAME, BUNDLED_RERANKER_NAME


def test_importing_the_names_loads_nothing():
    code = "import sys; before = set(sys.modules); import indexing.names; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    allowed = {"indexing", "indexing.names", "__future__", "typing", "importlib"}
    loaded = {name for name in ran.stdout.split() if name.partition(".")[0] not in sys.stdlib_module_names}
    assert loaded <= allowed, loaded


def test_bundled_names_are_those_of_the_runtime():
    assert (names.BUNDLED_MODEL, names.BUNDLED_RERANKER) == (BUNDLED_MODEL_NAME, BUNDLED_RERANKER_NAME)


def test_every_engine_has_its_class():
    assert [engine_class(name).engine for name in names.ENGINES] == list(names.ENGINES)


@pytest.mark.parametrize(
    ("function", "defaults"),
    [
        (Collection.create, {"precision": names.DEFAULT_PRECISION, "engine": names.DEFAULT_ENGINE}),
        (
            Collection.search,
            {
                "k": names.DEFAULT_RESULTS,
                "mode": names.DEFAULT_MODE,
                "rerank_depth": names.DEFAULT_RERANK_DEPTH,
            },
        ),
        (Collection.evaluate, {"mode": names.DEFAULT_MODE, "rerank_depth": names.DEFAULT_RERANK_DEPTH}),
        (Reranking, {"depth": names.DEFAULT_RERANK_DEPTH}),
    ],
)
def test_defaults_are_those_of_the_names(function, defaults):
    parameters = inspect.signature(function).parameters
    assert {name: parameters[name].default for name in defaults} == defaults


def test_commands_offer_these_names():
    offered = {
        (command.name, parameter.name): tuple(parameter.type.choices)
        for command in (index.command, search.command, evaluate.command)
        for parameter in command.params
        if hasattr(parameter.type, "choices")
    }
    assert offered == {
        ("index", "engine"): names.ENGINES,
        ("index", "precision"): names.PRECISIONS,
        ("search", "mode"): names.MODES,
        ("evaluate", "mode"): (*names.MODES, "all"),
    }


def test_agents_are_offered_these_modes():
    mode = SEARCH_COLLECTION.described.input_schema["properties"]["mode"]
    assert (tuple(mode["enum"]), mode["default"]) == (names.MODES, names.DEFAULT_MODE)
