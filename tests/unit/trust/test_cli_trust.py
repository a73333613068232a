"""A collection that came from another machine, on the command line."""

from __future__ import annotations

import json
import shutil

import pytest

from app.cli import main
from indexing import Collection
from stlib.runtime.bundled import default_model_path


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(home))

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def model(home, tmp_path, monkeypatch):
    """The model of collection c, which was made on another machine."""
    folder = shutil.copytree(default_model_path(), tmp_path / "model")
    settings = json.loads((folder / "config_sentence_transformers.json").read_text("utf-8"))
    prompts = {"prompts": {"query": "question: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps({**settings, **prompts}), "utf-8")
    with Collection.create("c", str(folder), home=home) as collection:
        collection.add([{"id": "whale", "text": "Whales breathe air."}, {"id": "bread", "text": "Dough."}])
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "state here"))
    return folder


@pytest.fixture
def beir(tmp_path):
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text('{"_id": "whale", "text": "Whales breathe air."}\n')
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "how do whales breathe"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\twhale\t1\n")
    return folder


def test_a_search_says_what_to_do_and_works_once_it_was_done(stlib, model):
    code, out, err = stlib("search", "c", "how do whales breathe")
    assert (code, out) == (1, "")
    assert err.startswith(f"stlib: model '{model}', fingerprint '")
    assert "was never used on this machine" in err and "--model PATH" in err and err.count("\n") == 1
    assert stlib("search", "c", "whales", "--mode", "keyword")[0] == 0
    for arguments in (["--model", model], []):
        code, out, err = stlib("search", "c", "how do whales breathe", "-k", "1", "--json", *arguments)
        assert (code, err) == (0, "")
        assert [result["id"] for result in json.loads(out)["results"]] == ["whale"]


def test_so_does_evaluate(stlib, model, beir):
    assert "was never used on this machine" in stlib("evaluate", "c", beir)[2]
    code, out, _ = stlib("evaluate", "c", beir, "--json", "--model", model)
    assert (code, json.loads(out)["metrics"]["NDCG@10"]) == (0, 1.0)


def test_so_does_index(stlib, model, tmp_path):
    (tmp_path / "more.txt").write_text("Iron rusts.")
    assert "was never used on this machine" in stlib("index", "c", tmp_path / "more.txt")[2]
    assert stlib("index", "c", tmp_path / "more.txt", "--model", model)[0] == 0
    assert stlib("search", "c", "iron", "-k", "1")[0] == 0


def test_what_needs_no_model_goes_on(stlib, model):
    for arguments in (["list"], ["info", "c"], ["verify", "c"], ["delete", "c", "bread"]):
        code, _, err = stlib(*arguments)
        assert "never used" not in err and code == 0, (arguments, err)


def test_another_model_by_hand_is_refused(stlib, model):
    code, _, err = stlib("search", "c", "whales", "--model", default_model_path())
    assert code == 1 and "was made with" in err


def test_a_catalog_s_escape_sequences_are_shown_as_text(stlib, home, model):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(home / "collections/c/catalog.sqlite")) as database, database:
        database.execute("UPDATE generation SET model = ?", ("\x1b[2J\u202eevil" + "x" * 10_000,))
    err = stlib("search", "c", "how do whales breathe")[2]
    assert r"model '\x1b[2J\u202eevilxxx" in err and "…'" in err and "\x1b" not in err and len(err) < 1000
