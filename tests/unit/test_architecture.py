"""The house keeps its order: imports go one way, importing is free, `__all__` tells the truth."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from stlib.extras import PACKAGES as PACKAGES_OF_EXTRAS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("stlib", "indexing", "app")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def imported(path: Path) -> set[str]:
    """Top-level names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize(("package", "forbidden"), [("stlib", {"indexing", "app"}), ("indexing", {"app"})])
def test_imports_go_one_way(package, forbidden):
    wrong = {str(p.relative_to(ROOT)): imported(p) & forbidden for p in modules(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_streamlit_stays_in_the_page_and_sql_in_the_index():
    users = {name: set() for name in ("streamlit", "sqlalchemy", "alembic", "tantivy")}
    for package in PACKAGES:
        for path in modules(package):
            for name in imported(path) & set(users):
                users[name].add(path.relative_to(ROOT).parts[:2])
    assert users["streamlit"] == {("app", "ui")}
    assert {first for first, *_ in users["alembic"] | users["tantivy"]} == {"indexing"}
    # Tables of the app are mapped beside their domain, and go through the doors of `indexing.catalog`.
    tables = {("app", "feedback"), ("app", "jobs"), ("app", "keys"), ("app", "tuning")}
    assert {place for place in users["sqlalchemy"] if place[0] != "indexing"} == tables


def test_only_the_index_opens_databases():
    """One owner of engines, transactions and error mapping."""
    doors = {"create_engine", "connect", "begin", "sessionmaker", "Session"}
    for path in modules("app"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        names |= {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
        }
        assert "sqlite3" not in imported(path), path
        assert "sqlalchemy" not in imported(path) or not names & doors, path


def test_nothing_is_unpickled():
    def used(path: Path) -> set[str]:
        nodes = [n for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.Attribute)]
        calls = {n.attr for n in nodes if isinstance(n.value, ast.Name) and n.value.id == "pickle"}
        others = {"dill", "cloudpickle", "shelve", "marshal", "joblib"}
        return (imported(path) & others) | (calls & {"load", "loads", "Unpickler"})

    wrong = {str(p.relative_to(ROOT)): used(p) for package in PACKAGES for p in modules(package)}
    assert {path: names for path, names in wrong.items() if names} == {}


def test_messages_name_packages_of_this_project():
    """On package indexes the name ``stlib`` is another project's: ``pip install`` of it brings that one."""
    texts = {path: path.read_text("utf-8") for package in PACKAGES for path in modules(package)}
    texts |= {path: path.read_text("utf-8") for path in (ROOT / "README.md", ROOT / "stlib/README.md")}
    wrong = [
        str(path) for path, text in texts.items() if re.search(r"stlib\[\w|pip install ['\"]?stlib\b", text)
    ]
    assert wrong == []


def test_extras_of_messages_are_those_of_the_project():
    declared = (ROOT / "pyproject.toml").read_text("utf-8")
    for extra, packages in PACKAGES_OF_EXTRAS.items():
        # An extra may include another, in brackets of its own.
        lines = re.search(rf"^{extra} = \[(.*?)\](?: +#[^\n]*)?$", declared, re.MULTILINE | re.DOTALL)
        assert re.findall(r'"([\w-]+(?:\[\w+\])?)[><=]', lines[1]) == list(packages), extra


@pytest.mark.parametrize("name", ["stlib", "indexing"])
def test_exported_members_exist(name):
    package = importlib.import_module(name)
    assert sorted(package.__all__) == sorted(set(package.__all__))
    missing = [member for member in package.__all__ if not hasattr(package, member)]
    assert missing == []
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


@pytest.mark.parametrize("name", ["stlib", "indexing", "app", "app.cli"])
def test_importing_loads_nothing_heavy(name):
    heavy = [
        "torch",
        "transformers",
        "numpy",
        "faiss",
        "sqlalchemy",
        "alembic",
        "tantivy",
        "streamlit",
        "tokenizers",
    ]
    code = f"import sys, {name}; print([m for m in {heavy!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    assert out.stdout == "[]\n"


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ("stlib, indexing, app", "dict(os.environ), list(warnings.filters), list(logging.root.handlers)"),
        # numpy adds warning filters of its own
        ("stlib.runtime, indexing.collection", "dict(os.environ), list(logging.root.handlers)"),
    ],
)
def test_importing_leaves_the_process_alone(names, what):
    code = f"import os, logging, warnings; before = {what}; import {names}; print(before == ({what}))"
    command = [sys.executable, "-W", "error", "-c", code]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (out.stdout, out.stderr) == ("True\n", "")
