"""app/OPERATIONS.md: its commands run, and what it names is there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import tests.services.postgres as postgres
from indexing import Collection
from tests.blocks import blocks, run_commands

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "app" / "OPERATIONS.md"


@pytest.fixture
def notes(home, tmp_path, monkeypatch):
    (tmp_path / "backups").mkdir()
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("BACKUPS", str(tmp_path / "backups"))
    monkeypatch.setenv("STLIB_DB", "")  # which a block sets, and is taken back after the test
    with Collection.create("notes", home=home) as notes:
        notes.add([{"id": "bread", "text": "Dough rises because yeast makes gas."}])


def test_a_backup_comes_back(notes, home):
    [backup, restore] = blocks(PAGE, "Backup and restore", "sh")
    said = run_commands(backup + restore)
    assert said.count("clean, 1 document in 1 passage checked") == 2
    assert Collection.list(home=home) == ["notes"]


def test_a_database_is_made_and_filled(notes, monkeypatch):
    [make, fill] = blocks(PAGE, "PostgreSQL", "sh")
    server = postgres.Server()
    try:
        monkeypatch.setenv("PATH", str(server._bin), prepend=os.pathsep)
        monkeypatch.setenv("PGPORT", str(server.port))
        with monkeypatch.context() as administrator:
            administrator.setenv("PGHOST", str(server.folder))
            administrator.setenv("PGUSER", "postgres")
            run_commands(make)
        monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
        said = run_commands(fill.replace("localhost:5432", f"127.0.0.1:{server.port}"))
    finally:
        server.close()
    assert "notes: 1 document" in said and "Dough rises because yeast makes gas." in said


def test_what_it_names_is_there():
    from app.api.telemetry import gauges, metrics

    pages = [PAGE, ROOT / "app" / "SECURITY.md", ROOT / "indexing" / "MOVING.md", ROOT / "README.md"]
    pages += [ROOT / package / "README.md" for package in ("app", "indexing", "stlib")]
    sources = "".join(
        path.read_text("utf-8") for package in ("app", "indexing") for path in (ROOT / package).rglob("*.py")
    )
    settings = (ROOT / "app" / "api" / "settings.py").read_text("utf-8")
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    for page in pages:
        text = page.read_text("utf-8")
        for variable in set(re.findall(r"\bSTLIB_[A-Z_]+[A-Z]\b", text)):
            field = variable.removeprefix("STLIB_").lower()
            known = variable in sources or variable in compose
            assert known or re.search(rf"^    {field}: ", settings, re.MULTILINE), (page.name, variable)
        links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
        assert [one for one in links if not (page.parent / one).exists()] == [], page.name
        for file, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text):
            assert (ROOT / file).is_file(), (page.name, file)
            assert not name or f"def {name}(" in (ROOT / file).read_text("utf-8"), (page.name, file, name)
    counted = "".join(Path(module.__file__).read_text("utf-8") for module in (gauges, metrics))
    for name in set(re.findall(r"`(stlib_[a-z_]+)`", PAGE.read_text("utf-8"))):
        assert name.removeprefix("stlib_").removesuffix("_total") in counted, name
