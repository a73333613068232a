"""A command that failed leaves nothing behind: no folder, no lock, no empty database."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from indexing import Collection
from indexing.errors import CollectionExists, LockedError, StorageError
from indexing.opening import documents_lock
from indexing.storage.paths import collection_place

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working folder; its home is not there yet."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "a.txt").write_text("bread")
    (tmp_path / "unreadable").mkdir()
    (tmp_path / "unreadable" / "a.txt").write_bytes(bytes(range(256)) * 8)
    (tmp_path / "taken").mkdir()
    monkeypatch.setenv("STLIB_HOME", str(tmp_path / "data" / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    return end.value.code


@pytest.mark.parametrize(
    "db",
    [
        "sqlite:///taken",
        "sqlite:///new/deep/" + "x" * 300 + ".db",
        "sqlite:///documents/a.txt",
        "sqlite:///documents/a.txt/x.db",
        "sqlite:///..",
        "sqlite:////proc/none/x.db",
        "sqlite:///:memory:",
        "sqlite:///",
        "mysql://x",
    ],
)
@pytest.mark.parametrize(
    "command",
    [["index", "n", "documents"], ["search", "n", "x"], ["list"], ["info", "n"], ["delete", "n", "--yes"]],
)
def test_a_database_that_cannot_be_used(folder, db, command):
    before = everything(folder)
    code = run(*command, "--db", db)
    assert code or command == ["list"]
    assert everything(folder) == before


@pytest.mark.parametrize(
    "command", [["search", "n", "x"], ["info", "n"], ["verify", "n"], ["delete", "n", "--yes"]]
)
@pytest.mark.parametrize("place", [["--db", "sqlite:///new/x.db"], ["--home", "new/home"], []])
def test_looking_into_what_is_not_there_makes_nothing(folder, command, place):
    before = everything(folder)
    assert run(*command, *place) == 1
    assert everything(folder) == before


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["index", "bad/name", "documents"], 1),
        (["index", "n", "missing"], 1),
        (["index", "n", "documents", "--model", "documents"], 1),
        (["index", "n", "documents", "--precision", "magic"], 2),
        (["index", "n", "documents", "--home", "documents/a.txt/home"], 1),
        (["index", "n", "documents", "--home", "new/" + "x" * 300], 1),
    ],
)
def test_a_wrong_name_path_model_or_home(folder, arguments, code):
    before = everything(folder)
    assert run(*arguments) == code
    if "--home" not in arguments:
        assert run(*arguments, "--db", "sqlite:///new/x.db") == code
    assert everything(folder) == before


def test_no_folder_of_a_collection_is_left_where_nothing_could_be_indexed(folder):
    assert run("index", "n", "unreadable") == 1
    assert everything(folder / "data") == ["home", "home/collections"]
    assert run("index", "n", "unreadable", "--db", "sqlite:///x.db") == 1
    assert not (folder / "x.db.stlib").exists()


def test_a_failure_in_the_middle_leaves_nothing_and_what_was_there_stays(folder, monkeypatch):
    home = folder / "data" / "home"
    before = everything(folder)
    with monkeypatch.context() as broken:
        broken.setattr("indexing.creation.create_generation", fail)
        with pytest.raises(StorageError):
            Collection.create("n", home=home)
    assert everything(folder) == before

    Collection.create("m", home=home).close()
    before = everything(folder)
    with monkeypatch.context() as broken:
        broken.setattr("indexing.creation.create_generation", fail)
        with pytest.raises(StorageError):
            Collection.create("n", home=home)
    with pytest.raises(CollectionExists):
        Collection.create("m", home=home)
    with pytest.raises(LockedError), documents_lock(None, collection_place("m", home)):
        Collection.open("m", home=home).drop()
    assert everything(folder) == before


def fail(*_, **__):
    raise StorageError("as if the disk were full")


def test_a_catalog_with_other_collections_survives(folder):
    db = "sqlite:///x.db"
    Collection.create("m", db=db).close()
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("indexing.creation.create_generation", fail)
        with pytest.raises(StorageError):
            Collection.create("n", db=db)
    assert Collection.list(db=db) == ["m"]
    assert not (folder / "x.db.stlib" / "n").exists()


def test_a_disk_that_cannot_be_written(folder):
    mounted = "mount -t tmpfs -o size=3m none taken && mkdir taken/home && mount -o remount,ro taken"
    if subprocess.run(["unshare", "-r", "-m", "sh", "-c", mounted], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: allow user namespaces, or run as root")
    stlib = f"{sys.executable} -c 'from app.cli import main; main()'"
    script = (
        f"{mounted}; {stlib} index n documents --home taken/home; echo code $?;"
        f"{stlib} index n documents --db sqlite:///taken/home/x.db; echo code $?; find taken"
    )
    ran = subprocess.run(
        ["unshare", "-r", "-m", "sh", "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.stdout.splitlines() == ["code 1", "code 1", "taken", "taken/home"]
    assert [line.endswith("Read-only file system") for line in ran.stderr.splitlines()] == [True, True]
