"""`stlib erase` and `stlib verify --erased`."""

from __future__ import annotations

import json

import pytest

from app.cli import main
from indexing import Collection
from tests.unit.erasing.conftest import MARKER, SECRET


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path, stlib):
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "secret.txt").write_text(SECRET)
    (folder / "bees.txt").write_text("Bees make honey.")
    assert stlib("index", "n", folder)[0] == 0
    return folder


def test_a_document_is_erased_and_stays_out_when_its_folder_is_read_again(stlib, folder, home):
    code, out, err = stlib("erase", "n", "secret.txt")
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[0] == "n: erasure 1 of 1 document: done"
    assert "1 document, 1 passage" in lines[1] and any("backups" in line for line in lines)
    code, out, err = stlib("index", "n", folder)
    assert code == 0 and out.startswith("n: nothing new, 1 document in 1 file")
    assert "left out    1 that were erased before (`stlib erase NAME --allow-again ID`" in out
    (folder / "moved.txt").write_text(SECRET)
    code, out, err = stlib("sync", "n")
    assert code == 0 and "1 document was erased from 'n' before and stayed out" in err
    with Collection.open("n", home=home) as collection:
        assert [one.id for one in collection.documents()] == ["bees.txt"]
        assert [source.files for source in collection.sources()] == [1]
    assert stlib("verify", "n", "--erased") == (0, "n: gone, 1 erasure checked, 1 document kept out\n", "")
    assert stlib("erase", "n", "--allow-again", "secret.txt")[:2] == (0, "n: 1 document may come in again\n")
    assert "2 added" in stlib("index", "n", folder)[1]


def test_json_and_the_list_of_receipts(stlib, folder):
    code, out, _ = stlib("erase", "n", "secret.txt", "nobody", "--json")
    [receipt] = json.loads(out)["erasures"]
    assert code == 0
    told = {name: receipt[name] for name in ("number", "state", "documents", "found", "pending")}
    assert told == {"number": 1, "state": "done", "documents": 2, "found": 1, "pending": []}
    code, out, _ = stlib("erase", "n", "--list")
    header, row = out.splitlines()
    assert header.split() == ["erasure", "begun", "by", "documents", "state"]
    assert (row.split()[0], row.split()[-1]) == ("1", "done")
    assert MARKER not in out and "secret" not in out
    assert stlib("erase", "n", "--finish") == (0, "n: nothing is pending\n", "")


def test_a_filter_asks_before_it_erases_everything(stlib, folder):
    code, _, err = stlib("erase", "n", "--filter", "size > 0")
    assert code == 2 and "erasing 2 of 2 documents needs --yes, or a terminal to ask in" in err
    code, out, _ = stlib("erase", "n", "--filter", "size > 0", "--yes")
    assert code == 0 and out.startswith("n: erasure 1 of 2 documents: done\n")
    assert stlib("erase", "n", "--filter", "size > 0")[::2] == (
        1,
        "stlib: no document matches the filter: nothing was erased\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the documents: by their ids, or by --filter"),
        (["a", "--filter", "x = 1"], "give ids or --filter, not both"),
        (["--filter", " "], "the filter is empty, and would match every document"),
        (["--finish", "a"], "--finish and --list take no ids"),
        (["--finish", "--list"], "give one of --finish, --list and --allow-again"),
        (["--erasure", "1", "a"], "--erasure goes with --allow-again"),
        (["--allow-again"], "name the documents: by their ids, or by --filter"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_opened(stlib, arguments, message):
    code, out, err = stlib("erase", "n", *arguments)
    assert (code, out) == (2, "") and err.startswith(f"stlib: {message}")
