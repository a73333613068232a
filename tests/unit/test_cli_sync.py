"""Commands that keep a collection in step with folders: index, sync, sources, watch; standard input."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.cli import main
from app.feedback.place import feedback_place
from app.feedback.table import read_sayings
from app.settings import Location
from indexing import Collection

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.txt").write_text(f"note {number} about bread")
    return folder


def ids(home):
    with Collection.open("notes", home=home) as collection:
        return sorted(document.id for document in collection.documents())


def test_a_folder_is_remembered_and_followed(stlib, home, folder):
    assert stlib("index", "notes", folder, "--exclude", "7.txt")[0] == 0
    (folder / "8.txt").write_text("a new note")
    (folder / "1.txt").unlink()
    code, out, err = stlib("sync", "notes", "--json")
    told = json.loads(out)
    assert (code, told["added"], told["vanished"], told["pruned"], err) == (0, 1, 1, 0, "")
    code, out, _ = stlib("sync", "notes", "--prune")
    assert code == 0 and "0 added, 0 updated, 7 unchanged, 1 removed" in out
    assert ids(home) == [f"{n}.txt" for n in (0, 2, 3, 4, 5, 6, 8)]
    [source] = json.loads(stlib("sources", "notes", "--json")[1])
    assert {
        name: source[name] for name in ("root", "kind", "confirmed", "files", "documents", "options")
    } == {
        **{"root": str(folder), "kind": "folder", "confirmed": True, "files": 7, "documents": 7},
        "options": {"exclude": ["7.txt"]},
    }
    assert str(folder) in stlib("sources", "notes")[1]
    assert stlib("sources", "notes", "--forget", 1)[1] == "notes was read from no folder\n"
    assert stlib("sync", "notes")[::2] == (
        1,
        "stlib: collection 'notes' was read from no folder: name one with `stlib index notes PATH`\n",
    )


def test_what_is_left_out_is_said_kinds_of_documents_first(stlib, folder):
    for name in ("a.doc", "b.png", "c.png", "d.pages", ".hidden.txt", "node_modules/x.txt", "empty.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    _, out, _ = stlib("index", "notes", folder)
    lines = [" ".join(line.split()) for line in out.splitlines()]
    text = " ".join(lines)
    assert lines[2].startswith(
        "not read 4 files: Apple Pages (.pages) 1; Word before 2007 (.doc) 1; pictures"
    )
    assert text.index("not read") < text.index("left out 1 hidden") < text.index("empty 1 file")
    assert "1 of other people's code (--vendored reads it)" in text


def test_removing_much_needs_force(stlib, home, folder):
    stlib("index", "notes", folder)
    for number in range(5):
        (folder / f"{number}.txt").unlink()
    code, _, err = stlib("sync", "notes", "--prune")
    refused = f"stlib: {folder} has lost 5 of its 8 documents: nothing of it was removed; if that is right, "
    assert (code, err) == (1, refused + "say --force too\n")
    assert stlib("sync", "notes", "--prune", "--force")[0] == 0
    assert ids(home) == ["5.txt", "6.txt", "7.txt"]


def test_an_address_of_this_machine_is_a_folder(stlib, folder, home):
    code, _, err = stlib("index", "notes", f"file://{folder}")
    assert (code, len(ids(home))) == (0, 8), err
    assert stlib("sync", "notes")[0] == 0
    code, _, err = stlib("index", "notes", f"file://{folder}/none")
    assert (code, f"no such file or folder: {folder}/none" in err) == (1, True)


def test_folders_of_a_copied_collection_are_asked_about(stlib, folder, tmp_path, monkeypatch):
    stlib("index", "notes", folder)
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "another machine"))
    code, _, err = stlib("sync", "notes")  # standard input is no terminal: nobody answers
    assert code != 0 and f"  {folder}\n" in err
    assert json.loads(stlib("sources", "notes", "--json")[1])[0]["confirmed"] is False
    assert stlib("sync", "notes", "--yes")[0] == 0
    assert json.loads(stlib("sources", "notes", "--json")[1])[0]["confirmed"] is True


def test_feedback_follows_a_renamed_file(stlib, home, folder):
    stlib("index", "notes", folder)
    judged = folder.parent / "judged.csv"
    judged.write_text("query,document,grade\nbread,1.txt,3\nbread,2.txt,1\n")
    assert stlib("feedback", "import", "notes", judged)[0] == 0
    (folder / "1.txt").rename(folder / "2-new.txt")
    (folder / "2.txt").rename(folder / "1.txt")  # takes the name that became free
    (folder / "2-new.txt").rename(folder / "2.txt")
    stlib("sync", "notes")
    with Collection.open("notes", home=home) as collection:
        uuid, texts = collection.uuid, {one.id: one.text for one in collection.documents()}
    assert texts["1.txt"] == "note 2 about bread"
    said = {one.document: one.grade for one in read_sayings(feedback_place(Location(home)), uuid)}
    assert said == {"2.txt": 3, "1.txt": 1}  # of the notes, whatever they are called
    (folder / "1.txt").rename(folder / "moved.txt")
    stlib("sync", "notes")
    stlib("sync", "notes")
    said = {one.document: one.grade for one in read_sayings(feedback_place(Location(home)), uuid)}
    assert said == {"2.txt": 3, "moved.txt": 1}


def test_feedback_follows_each_of_the_rows_below_a_new_one(stlib, home, folder):
    rows = folder / "rows.csv"
    rows.write_text("text\napples\nbread\ncheese\n")
    stlib("index", "notes", folder)
    judged = folder.parent / "judged.csv"
    judged.write_text("query,document,grade\nfruit,rows.csv#2,3\ndough,rows.csv#3,2\nmilk,rows.csv#4,1\n")
    assert stlib("feedback", "import", "notes", judged)[0] == 0
    rows.write_text("text\nfirst of all\napples\nbread\ncheese\n")
    stlib("sync", "notes")
    with Collection.open("notes", home=home) as collection:
        sayings = read_sayings(feedback_place(Location(home)), collection.uuid)
    assert {one.query: one.document for one in sayings} == {
        "fruit": "rows.csv#3",
        "dough": "rows.csv#4",
        "milk": "rows.csv#5",
    }


@pytest.mark.parametrize(
    ("given", "arguments", "found"),
    [
        (b"bread and butter", (), {"stdin.txt": "bread and butter"}),
        (
            b'{"id": "a", "text": "apples"}\n{"text": "pears"}\n',
            (),
            {"a": "apples", "stdin.jsonl#2": "pears"},
        ),
        (b"id,text\nx,plums\n", ("--stdin-name", "t.csv"), {"x": "plums"}),
    ],
)
def test_standard_input_is_read(stlib, home, monkeypatch, given, arguments, found):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    assert stlib("index", "notes", "-", *arguments)[0] == 0
    with Collection.open("notes", home=home) as collection:
        assert {one.id: one.text for one in collection.documents()} == found
        assert collection.sources() == []


def test_notes_of_many_files_are_one(stlib, folder):
    for number in range(3):
        (folder / f"bad{number}.txt").write_bytes(b"bread \xff butter " + bytes([48 + number]))
    _, _, err = stlib("index", "notes", folder)
    assert len(err.splitlines()) == 1
    assert "(and 2 other files)" in err


def test_a_watched_folder_is_followed_until_ctrl_c(home, folder, tmp_path):
    environment = {**os.environ, "STLIB_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    run = [sys.executable, "-c", "from app.cli import main; main()"]
    subprocess.run([*run, "index", "notes", str(folder)], env=environment, cwd=ROOT, check=True)
    watching = subprocess.Popen(
        [*run, "watch", "notes", "--prune"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        timer = threading.Timer(60, watching.kill)  # a line that never comes ends the test
        timer.start()
        assert watching.stdout.readline().startswith(f"notes: watching {folder}")
        (folder / "new.txt").write_text("a new note")
        assert "1 added, 0 updated" in watching.stdout.readline()
        (folder / "new.txt").unlink()
        assert "1 removed" in watching.stdout.readline()
        assert "new.txt" not in ids(home)
        time.sleep(0.2)
        os.killpg(watching.pid, signal.SIGINT)
        _, err = watching.communicate(timeout=30)
        assert (watching.returncode, err) == (0, "")
    finally:
        timer.cancel()
        watching.kill()
