"""The terminal shows near-identical passages as one, and the documents of a file where that is wanted."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from app.cli.group import cli
from app.cli.terminal import link_to, style
from app.feedback.log import feedback_log
from app.feedback.place import feedback_place
from app.feedback.table import read_impressions
from app.settings import Location
from indexing import Collection

TERMS = "Permission is hereby granted to deal in the software without restriction."


@pytest.fixture
def search(tmp_path, home, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / "docs"
    for number in range(7):
        (folder / f"p{number}").mkdir(parents=True)
        (folder / f"p{number}" / "LICENSE.txt").write_text(TERMS)
    (folder / "c.md").write_text("# Software\n\nHow restriction of software came about.")
    rows = ["kind,text", "a,Restriction of rows", "b,Restriction of columns", "c,Restriction of cells"]
    (folder / "t.csv").write_text("\n".join(rows))
    with Collection.create("docs", home=home) as collection:
        collection.sync([folder])

    def run(*arguments):
        done = CliRunner().invoke(cli, ["search", "docs", "restriction of software", "-k", "20", *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_what_says_the_same_is_one(search, home):
    shown = search()
    ids = [one["id"] for one in json.loads(search("--json"))["results"]]
    licences = [f"{rank}. {id_}" for rank, id_ in enumerate(ids, 1) if "LICENSE" in id_]
    said = " ".join(shown.split())
    assert f"and 6 more like it: {', '.join(licences[1:6])}, …" in said
    assert shown.count(TERMS[:30]) == 1
    assert "docs › p" in shown and f"{len(ids)} results in" in shown
    assert search("--each").count(TERMS[:30]) == 7
    place = feedback_place(Location(home))
    feedback_log(place).flush()
    folded = [sum(one.folded for one in kept.shown) for kept in read_impressions(place)]
    assert folded == [6, 0, 0]  # JSON and --each show each


def test_documents_of_a_file_are_one_where_that_is_wanted(search):
    shown = search("--group")
    assert "and 2 more in this file:" in shown
    assert sum(line.lstrip().startswith("docs › t.csv") for line in shown.splitlines()) == 1
    assert sum(line.lstrip().startswith("docs › t.csv") for line in search().splitlines()) == 3


def test_json_says_where_each_is_from(search, tmp_path):
    found = {one["id"]: one for one in json.loads(search("--json"))["results"]}
    assert found["c.md"]["origin"] == str(tmp_path / "docs" / "c.md")
    assert {"page", "line", "headings"} <= found["c.md"].keys()


def test_a_link_is_only_for_terminals(monkeypatch):
    text = style("docs › a b", dim=True)
    assert link_to("/docs/a b", text) == text
    monkeypatch.setattr("app.cli.terminal.colour", lambda: True)
    assert link_to("/docs/a b\x1b", text) == f"\x1b]8;;file:///docs/a%20b%1B\x1b\\{text}\x1b]8;;\x1b\\"
    assert link_to("C:relative", text) == text


def test_a_document_s_file_is_named_and_shown_in_its_folder(search, tmp_path, monkeypatch):
    launched = []
    monkeypatch.setattr("click.launch", lambda path, locate: launched.append((path, locate)) or 0)
    path = str(tmp_path / "docs" / "c.md")
    shown = CliRunner().invoke(cli, ["show", "docs", "c.md"]).stdout
    # The path is broken where the terminal ends.
    assert f"file{path}" in shown.replace("\n", "").replace(" ", "") and launched == []
    assert CliRunner().invoke(cli, ["show", "docs", "c.md", "--open"]).exit_code == 0
    assert launched == [(path, True)]
    (tmp_path / "docs" / "c.md").unlink()
    failed = CliRunner().invoke(cli, ["show", "docs", "c.md", "--open"])
    assert "without following a link" in str(failed.exception) and len(launched) == 1
