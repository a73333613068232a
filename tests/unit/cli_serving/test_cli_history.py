"""`stlib history`, `promote`, `rollback`, `relocate`, `drop-generation`, `compact` and `info`."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from app.facade.who import login_name
from indexing import Collection
from stlib.runtime import default_model_path

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"


@pytest.fixture
def changed(stlib, notes):
    """Two servings on two generations; the second is live."""
    assert stlib("reindex", "notes", "--precision", "binary", "--weight", "keyword=0.5")[0] == 0
    return notes


def test_history_tells_what_changed_and_when(stlib, changed):
    code, out, err = stlib("history", "notes")
    assert (code, err) == (0, "")
    who = f" by {login_name()}" if login_name() else ""
    expected = [
        "serving 1",
        "  change      created",
        "  model       stlib-static-en, 256 dimensions",
        "  stored      int8, faiss, generation 1",
        "  passages    256 tokens, overlap 32",
        f"  made        {DATE}",
        "serving 2, live",
        "  change      precision binary, weights keyword 0.5",
        "  model       stlib-static-en, 256 dimensions",
        "  stored      binary, faiss, generation 2",
        "  passages    256 tokens, overlap 32",
        "  weights     keyword 0.5",
        f"  promoted    {DATE}{who}",
    ]
    for line, pattern in zip(out.splitlines(), expected, strict=True):
        assert line == pattern or re.fullmatch(pattern, line)
    told = json.loads(stlib("history", "notes", "--json")[1])
    servings = [(one["id"], one["live"], one["behind"]) for one in told["servings"]]
    assert servings == [(1, False, 0), (2, True, 0)]
    assert told["servings"][1]["promotions"][0]["who"] == login_name()


def test_back_and_forth(stlib, changed, answers, home):
    after = answers()
    assert stlib("rollback", "notes") == (0, "serving 1 of 'notes' is live; before it was 2\n", "")
    before = answers()
    assert before != after
    assert stlib("rollback", "notes")[::2] == (
        1,
        "stlib: collection 'notes' has no earlier serving to go back to; `stlib history notes`"
        " shows what there is\n",
    )
    assert stlib("promote", "notes", 2, "--override", "I tried\x1b it") == (
        0,
        "serving 2 of 'notes' is live; before it was 1\ngo back with `stlib rollback notes`\n",
        "",
    )
    assert answers() == after
    assert "overriding: I tried\\x1b it" in " ".join(stlib("history", "notes")[1].split())
    with Collection.open("notes", home=home) as collection:
        last = collection.servings()[-1].promotions[-1]
    assert (last.kind, last.override, last.who) == ("promote", "I tried\x1b it", login_name())
    assert stlib("promote", "notes", 7)[2] == (
        "stlib: collection 'notes' has no serving 7; there are: 1, 2\n"
    )


def test_a_candidate_that_did_not_follow_says_so(stlib, notes, write_notes):
    stlib("reindex", "notes", "--precision", "binary", "--no-promote")
    stlib("index", "notes", write_notes(33))
    assert "  behind      3 changes\n" in stlib("history", "notes")[1]
    stlib("promote", "notes", 2)
    assert "behind" not in stlib("history", "notes")[1]
    assert json.loads(stlib("info", "notes", "--json")[1])["documents"] == 33


def test_a_generation_is_dropped_with_its_servings(stlib, changed, answers, home):
    expected = answers()
    assert stlib("drop-generation", "notes", 1) == (
        2,
        "",
        "stlib: dropping a generation needs --yes, or a terminal to ask in"
        " (see `stlib drop-generation --help`)\n",
    )
    assert stlib("drop-generation", "notes", 2, "--yes")[2] == (
        "stlib: generation 2 of collection 'notes' is live: promote another serving first\n"
    )
    assert stlib("drop-generation", "notes", 1, "--yes") == (
        0,
        "dropped generation 1 of 'notes', which had 30 passages\n",
        "",
    )
    assert answers() == expected
    with Collection.open("notes", home=home) as collection:
        assert [serving.id for serving in collection.servings()] == [2]
        assert collection.verify().clean


def test_a_model_that_was_moved(stlib, notes, tmp_path):
    folder = shutil.copytree(default_model_path(), tmp_path / "model")
    path = folder / "config_sentence_transformers.json"
    settings = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**settings, "prompts": {"query": "question: "}}), "utf-8")
    assert stlib("reindex", "notes", "--model", folder)[0] == 0
    moved = folder.rename(tmp_path / "moved")
    assert "which is gone" in stlib("search", "notes", "music")[2]
    assert stlib("relocate", "notes", moved) == (0, f"'notes' finds its model at {moved}\n", "")
    assert stlib("search", "notes", "music")[0] == 0
    other = shutil.copytree(moved, tmp_path / "other")
    (other / "config_sentence_transformers.json").write_text(
        json.dumps({**settings, "prompts": {"query": "another: "}}), "utf-8"
    )
    code, out, err = stlib("relocate", "notes", other)
    assert (code, out) == (1, "") and f"was made with {moved}" in err


def test_compact_gives_space_back(stlib, write_notes, home):
    assert stlib("index", "notes", write_notes(3000))[0] == 0
    assert stlib("delete", "notes", "--filter", "n >= 100", "--yes")[0] == 0
    told = json.loads(stlib("compact", "notes", "--json")[1])
    assert told["bytes_after"] <= told["bytes_before"]
    assert re.fullmatch(r"notes: \d+ KiB before, \d+ KiB now\n", stlib("compact", "notes")[1])
    with Collection.open("notes", home=home) as collection:
        assert (len(collection), collection.verify().clean) == (100, True)


def test_info_says_what_is_served(stlib, changed):
    stlib("reindex", "notes", "--reranker", "stlib-rerank-en")
    out = stlib("info", "notes")[1]
    assert "  reranker     stlib-rerank-en\n  serving      3, on generation 2\n" in out
    told = json.loads(stlib("info", "notes", "--json")[1])
    assert (told["serving"], told["generation"], told["reranker"]) == (3, 2, "stlib-rerank-en")


def test_a_collection_without_a_model_says_so(stlib, home):
    with Collection.create("own", dimension=4, home=home) as collection:
        collection.add([{"id": "a", "text": "apples"}], vectors=np.eye(4)[:1])
    assert "  model       vectors of your own, 4 dimensions\n" in stlib("history", "own")[1]
    assert "  model        vectors of your own, 4 dimensions\n" in stlib("info", "own")[1]
    assert "vectors of your own" in stlib("list")[1]
    out = stlib("reindex", "own", "--engine", "usearch")[1]
    assert "serving 2 of own is live: vectors of your own, int8, usearch\n" in out
    code, _, err = stlib("reindex", "own")
    assert code == 1 and "has vectors of somebody's own and no model" in err


def test_all_of_it_fits_a_narrow_terminal(stlib, changed, monkeypatch):
    for width in (40, 20):
        monkeypatch.setenv("COLUMNS", str(width))
        for command in (
            ["history", "notes"],
            ["reindex", "notes", "--engine", "usearch"],
            ["show", "notes", "n00001"],
            ["info", "notes"],
            ["list"],
        ):
            code, out, _ = stlib(*command)
            assert code == 0 and max(len(line) for line in out.splitlines()) <= width, (command, out)


@pytest.mark.parametrize(
    "command",
    [
        ["reindex"],
        ["history"],
        ["promote", "1"],
        ["rollback"],
        ["relocate", "."],
        ["drop-generation", "1", "--yes"],
        ["compact"],
        ["show", "a"],
        ["export"],
        ["delete", "--filter", "a = 1"],
    ],
)
def test_a_collection_that_is_not_there_is_one_line(stlib, command):
    first, *rest = command
    code, out, err = stlib(first, "nothing", *rest)
    assert (code, out) == (1, "")
    assert err.startswith("stlib: no collection 'nothing'") and err.count("\n") == 1


def test_a_login_without_a_name(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert login_name() == ""
