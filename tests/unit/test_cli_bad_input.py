"""Bad input: one clear line on stderr, an exit code other than 0, nothing lost, no traceback."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.cli.failures import report_failure
from indexing import Collection
from stlib.runtime import Encoder
from stlib.runtime.bundled import default_model_path

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.delenv("COLUMNS", raising=False)  # output as in a pipe, whatever runs the tests

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def notes(stlib, tmp_path):
    """A collection of two notes."""
    path = tmp_path / "notes.jsonl"
    path.write_text('{"id": "a", "text": "apples"}\n{"id": "b", "text": "bread"}\n')
    assert stlib("index", "notes", path)[0] == 0
    return path


def texts(stlib, name="notes"):
    results = json.loads(stlib("search", name, "food", "-k", 50, "--mode", "semantic", "--json")[1])[
        "results"
    ]
    return {result["id"]: result["text"] for result in results}


def test_a_missing_path_leaves_no_collection_behind(stlib, tmp_path):
    missing = tmp_path / "missing"
    assert stlib("index", "notes", missing) == (
        1,
        "",
        f"stlib: no such file or folder: {missing}; nothing was read\n",
    )
    assert json.loads(stlib("list", "--json")[1]) == {"collections": []}


def test_a_broken_line_is_named_and_the_rest_is_indexed(stlib, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a", "text": "apples"}\n{broken\n{"id": "b", "text": "bread"}\n')
    code, out, err = stlib("index", "notes", path)
    assert code == 1
    assert "  skipped     1\n" in out and "2 added" in out
    assert err.startswith(f"stlib: skipped {path}, line 2: not valid JSON") and err.count("\n") == 1
    assert texts(stlib) == {"a": "apples", "b": "bread"}


def test_twenty_skips_are_shown_and_the_others_counted(stlib, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a", "text": "apples"}\n' + "{broken\n" * 25)
    code, out, err = stlib("index", "notes", path)
    assert code == 1 and "  skipped     25\n" in out
    assert len(err.splitlines()) == 21
    assert err.splitlines()[-1] == "stlib: skipped 5 more (--json lists up to 1,000)"


def test_files_that_share_a_reason_are_one_line(stlib, tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.txt").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "a.txt").write_text("apples")
    code, out, err = stlib("index", "notes", tmp_path)
    assert code == 1 and "  skipped     5\n" in out
    some = ", ".join(str(tmp_path / f"{number}.txt") for number in range(3))
    assert err == f"stlib: skipped 5 files: looks binary, not text: {some} and 2 more\n"


def test_programs_without_extension_and_archives_are_kinds_that_are_not_read(stlib, tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "program").write_bytes(b"\x7fELF" + bytes(200))
    (folder / "a.zip").write_bytes(b"PK\x03\x04")
    (folder / "a.txt").write_text("apples")
    for _ in range(2):  # what is known not to be text is not opened again, and still told
        code, out, err = stlib("index", "notes", folder, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["unsupported_files"] == {"": 1, ".zip": 1}


def test_a_file_that_is_no_text_is_skipped_and_makes_no_collection(stlib, tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(bytes(range(256)) * 8)
    code, _, err = stlib("index", "notes", path)
    assert code == 1
    assert err.splitlines() == [
        f"stlib: skipped {path}: looks binary, not text",
        "stlib: nothing could be indexed; collection 'notes' was not made",
    ]
    assert json.loads(stlib("list", "--json")[1]) == {"collections": []}


def test_an_empty_file_is_no_failure_and_makes_no_collection(stlib, tmp_path):
    path = tmp_path / "x.txt"
    path.write_bytes(b" \n")
    code, out, err = stlib("index", "notes", path)
    assert (code, " ".join(out.split())) == (0, f"empty 1 file without text: {path}")
    assert err == "stlib: nothing could be indexed; collection 'notes' was not made\n"
    assert json.loads(stlib("list", "--json")[1]) == {"collections": []}


def test_an_empty_folder_makes_no_collection_and_tells_no_sizes(stlib, tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    nothing = "stlib: nothing could be indexed; collection 'notes' was not made\n"
    assert stlib("index", "notes", folder) == (1, "", nothing)
    (folder / "a.png").write_bytes(b"x")
    passed_over = "  not read    1 file: pictures (.png) 1\n"
    assert stlib("index", "notes", folder) == (1, passed_over, nothing)
    assert json.loads(stlib("list", "--json")[1]) == {"collections": []}


def test_a_question_that_is_cut_gets_a_note(stlib, notes):
    question = "apples " * 4_000
    for mode in ("hybrid", "keyword", "semantic"):
        code, out, err = stlib("search", "notes", question, "--mode", mode)
        assert code == 0 and "apples" in out
        assert err == "stlib: note: only the first 20,000 of the query's 28,000 characters are used\n"
    assert stlib("search", "notes", question[:20_000])[2] == ""


def test_what_another_process_adds_meanwhile_is_kept(stlib, tmp_path, home, monkeypatch):
    """A run that made the collection and found nothing to index removes it again, unless it is not empty."""
    (tmp_path / "x.txt").write_text(" ")
    info = Collection.info

    def then_added(self):
        monkeypatch.undo()
        monkeypatch.setenv("STLIB_HOME", str(home))
        found = info(self)
        with Collection.open("notes", home=home) as other:
            other.add([{"id": "a", "text": "apples"}])
        return found

    monkeypatch.setattr(Collection, "info", then_added)
    assert stlib("index", "notes", tmp_path / "x.txt")[0] == 0
    assert texts(stlib) == {"a": "apples"}


def test_a_collection_made_by_another_process_at_this_moment_is_used(stlib, tmp_path, home, monkeypatch):
    (tmp_path / "x.txt").write_text("bread")
    create = Collection.create

    def after_another(name, **options):
        monkeypatch.undo()
        monkeypatch.setenv("STLIB_HOME", str(home))
        create(name, **options).close()
        return Collection.create(name, **options)

    monkeypatch.setattr(Collection, "create", after_another)
    assert stlib("index", "notes", tmp_path / "x.txt")[0] == 0
    assert texts(stlib) == {"x.txt": "bread"}


def test_of_two_documents_with_one_id_the_last_wins_and_that_is_said(stlib, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"id": "a", "text": "apples"}\n{"id": "a", "text": "pears"}\n')
    code, out, err = stlib("index", "notes", path)
    assert code == 1
    assert "1 added, 0 updated, 0 unchanged, 1 replaced by a later one of the same id" in out
    assert err == "stlib: 1 document had the id of a later one in this run: the last one wins\n"
    assert texts(stlib) == {"a": "pears"}


def test_an_unknown_collection_lists_the_known_ones(stlib, notes):
    expected = (1, "", "stlib: no collection 'note'; there are: notes\n")
    for command in (["search", "note", "x"], ["info", "note"], ["verify", "note"], ["delete", "note", "a"]):
        assert stlib(*command) == expected


def test_a_damaged_collection_is_named_and_the_others_are_listed(stlib, notes, home):
    torn = home / "collections" / "torn" / "catalog.sqlite"
    torn.parent.mkdir()
    torn.write_bytes(b"no database " * 100)
    code, out, err = stlib("list")
    assert code == 1 and [line.split()[0] for line in out.splitlines()] == ["name", "notes"]
    reason = f"{torn} is damaged or not a database (file is not a database); restore it from a backup"
    assert err == f"stlib: collection 'torn' left out: {reason}\n"
    listed = json.loads(stlib("list", "--json")[1])
    assert [info["name"] for info in listed["collections"]] == ["notes"]
    assert listed["damaged"] == [{"name": "torn", "reason": reason}]


def test_a_wrong_filter_shows_where(stlib, notes):
    assert stlib("search", "notes", "food", "--filter", "kind = 'x' and size ~ 3") == (
        2,
        "",
        "stlib: filter, position 21: unexpected '~'; "
        "write like '%part%' for a part of a text\n"
        "  kind = 'x' and size ~ 3\n"
        "                      ^\n",
    )


def test_a_misspelt_field_in_a_filter_is_named(stlib, tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"id": "a", "text": "apples", "module": "x"}\n')
    assert stlib("index", "notes", path)[0] == 0
    code, out, err = stlib("search", "notes", "apples", "--filter", "modul = 'x'")
    assert code == 0 and out.startswith("no results")
    assert err == "stlib: note: no document has the field 'modul'; did you mean 'module'?\n"


def test_another_model_or_dimension_is_refused_and_nothing_changes(stlib, notes, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(default_model_path(), other)
    config = other / "config_sentence_transformers.json"
    settings = json.loads(config.read_text())
    config.write_text(json.dumps({**settings, "prompts": {"query": "q: "}}))
    code, out, err = stlib("index", "notes", notes, "--model", other)
    dimension = Encoder.load(None).dimension
    assert (code, out) == (1, "")
    assert err.startswith(
        f"stlib: collection 'notes' was made with stlib-static-en ({dimension} dimensions, "
    )
    assert (
        err.endswith("use that model, or `stlib reindex notes --model` with this one\n")
        and err.count("\n") == 1
    )
    assert texts(stlib) == {"a": "apples", "b": "bread"}


@pytest.mark.parametrize(
    ("option", "old", "new"), [("precision", "int8", "float32"), ("engine", "faiss", "usearch")]
)
def test_other_settings_than_the_collection_has_are_refused(stlib, notes, option, old, new):
    assert stlib("index", "notes", notes, f"--{option}", new) == (
        1,
        "",
        f"stlib: collection 'notes' was made with --{option} {old}, not {new}: "
        f"leave --{option} away, or change it with `stlib reindex notes --{option} {new}`\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serch"], "no command 'serch'; there are: index, sync, watch, sources, search, show, evaluate, "),
        (["search"], "missing argument 'NAME' (see `stlib search --help`)"),
        (["search", "notes", " "], "the question is empty (see `stlib search --help`)"),
        (["search", "notes", "x", "-k", "0"], "invalid value for '-k': 0 is not in the range 1<=x<=10000"),
        (["search", "notes", "x", "--mode", "magic"], "invalid value for '--mode': 'magic' is not one of"),
        (["delete", "notes"], "deleting a whole collection needs --yes, or a terminal to ask in"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(stlib, notes, monkeypatch, arguments, message):
    monkeypatch.setattr("sys.stdin", io.StringIO())  # not a terminal
    code, out, err = stlib(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"stlib: {message}") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", "../x", "."], "collection name '../x': use 1 to 64 letters, digits, '.', '_' or '-'"),
        (["list", "--db", "mysql://x"], "database 'mysql://x': give a SQLite file as sqlite:///relative.db"),
        (["evaluate", "notes", "."], "no queries.jsonl; give a folder in BEIR layout"),
    ],
)
def test_other_mistakes_are_one_line_and_exit_1(stlib, notes, arguments, message):
    code, out, err = stlib(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("stlib: ") and message in err and err.count("\n") == 1


@pytest.mark.slow
def test_a_ten_megabyte_line_is_indexed_whole(stlib, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text("bread " * 1_750_000 + "zeppelin")
    code, _, err = stlib("index", "notes", path)
    assert (code, err) == (0, "")
    [found] = json.loads(stlib("search", "notes", "zeppelin", "--json")[1])["results"]
    assert len(found["text"]) == 10_500_008
    assert "zeppelin" in found["snippet"]["text"] and len(found["snippet"]["text"]) < 1000


def test_a_full_disk_keeps_what_was_committed_and_goes_on_later(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        "".join(json.dumps({"id": str(i), "text": f"note {i} " + "bread " * 40}) + "\n" for i in range(6000))
    )
    mounted = f"mount -t tmpfs -o size=3m none {disk}"
    if subprocess.run(["unshare", "-r", "-m", "sh", "-c", mounted], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: allow user namespaces, or run as root")
    stlib = f"{sys.executable} -c 'from app.cli import main; main()'"
    script = (
        f"{mounted}; {stlib} index notes {corpus}; echo code $?; mount -o remount,size=60m {disk};"
        f"{stlib} verify notes; {stlib} index notes {corpus}; echo code $?; {stlib} verify notes"
    )
    ran = subprocess.run(
        ["unshare", "-r", "-m", "sh", "-c", script],
        env={**os.environ, "STLIB_HOME": str(disk)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = ran.stdout.splitlines()
    assert lines[0] == "code 1"
    kept = int(lines[1].removeprefix("notes: clean, ").split()[0].replace(",", ""))
    assert f"{6000 - kept:,} added, 0 updated, {kept:,} unchanged" in lines[3]
    assert lines[-2:] == ["code 0", "notes: clean, 6,000 documents in 6,000 passages checked"]
    assert "Traceback" not in ran.stderr
    [complaint] = [line for line in ran.stderr.splitlines() if not line.endswith(" left")]  # a slow machine
    assert complaint.startswith("stlib: no space left on the disk") and "run again" in complaint


def test_a_failure_that_nobody_expected_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        report_failure(ZeroDivisionError("a bug"))
