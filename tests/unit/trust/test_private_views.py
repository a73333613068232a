"""Where a home cannot be written, or a machine cannot keep a key, views are built in a private place."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from indexing import Collection
from indexing.storage import private
from indexing.storage.machine import key_is_kept, machine_key, state_folder
from indexing.storage.private import own_folder

DOCUMENTS = [
    {"id": f"d{i}", "text": f"{('whales breathe', 'iron rusts')[i % 2]}, note {i}"} for i in range(100)
]
SEARCH = """
import json, sys
from indexing import Collection
with Collection.open("c", home=sys.argv[1]) as collection:
    print(json.dumps([
        [[r.id, r.score] for r in collection.search("note 17 of whales", 5, mode=mode).results]
        for mode in ("semantic", "keyword", "hybrid")
    ]))
"""


def answers(home):
    with Collection.open("c", home=home) as collection:
        return [
            [[r.id, r.score] for r in collection.search("note 17 of whales", 5, mode=mode).results]
            for mode in ("semantic", "keyword", "hybrid")
        ]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    home = tmp_path_factory.mktemp("sound")
    with Collection.create("c", home=home) as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
    return home, answers(home)


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound[0], tmp_path / "copy")


def content(home):
    """Names and bytes of all but the catalog, whose write-ahead log comes and goes."""
    files = (path for path in home.rglob("*") if not path.name.startswith("catalog.sqlite"))
    return {path: path.read_bytes() if path.is_file() else None for path in files}


@pytest.fixture
def unwritable(monkeypatch):
    """Root may write anywhere: homes are taken for a disk that is mounted read-only."""
    monkeypatch.setattr(private, "can_write", lambda path: False)


@pytest.mark.usefixtures("unwritable")
def test_sound_views_of_an_unwritable_home_are_used_where_they_lie(sound, copy):
    before = content(copy)
    with Collection.open("c", home=copy) as collection:
        assert collection.verify().clean
    assert answers(copy) == sound[1]
    for kind in ("vectors", "lexical"):
        assert not own_folder(copy / "collections/c/views" / kind).exists()  # nothing was built
    locks = {path for path in content(copy) if path.suffix == ".lock"}  # tantivy's readers leave them behind
    assert {path: data for path, data in content(copy).items() if path not in locks - before.keys()} == before


@pytest.mark.usefixtures("unwritable")
@pytest.mark.parametrize("damage", ["foreign", "torn", "missing", "ahead"])
def test_others_are_built_beside_it(sound, copy, damage, request, caplog):
    views = copy / "collections/c/views"
    if damage == "foreign":
        request.getfixturevalue("another_machine")
    if damage == "torn":
        for path in views.rglob("manifest.json"):
            path.write_bytes(path.read_bytes()[:-5])
    if damage == "missing":
        shutil.rmtree(views)
    if damage == "ahead":
        for folder in views.glob("*/*"):
            folder.rename(folder.with_name(folder.name.replace("-100.", "-999.")))
    before = content(copy)
    assert answers(copy) == sound[1]
    with Collection.open("c", home=copy) as collection:
        collection.refresh()
        collection.verify()
        assert collection.verify().clean
    assert answers(copy) == sound[1]
    assert content(copy) == before


def test_a_machine_without_a_key_leaves_the_views_of_a_home_alone(sound, copy, another_machine, caplog):
    state_folder().write_text("in the way")
    before = content(copy)
    assert not key_is_kept()
    assert answers(copy) == sound[1]
    assert answers(copy) == sound[1]
    assert content(copy) == before
    assert caplog.text.count("cannot keep a key") == 1


def test_with_a_key_and_a_home_there_is_no_second_folder(tmp_path):
    assert machine_key() and key_is_kept()
    assert own_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"


def test_the_private_folder_is_removed_at_the_end(sound, copy, tmp_path):
    (tmp_path / "temporary").mkdir()
    (tmp_path / "state").write_text("in the way")
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path / "temporary"),
        "STLIB_STATE": str(tmp_path / "state"),
    }
    done = subprocess.run(
        [sys.executable, "-c", SEARCH, str(copy)], capture_output=True, text=True, env=environment, timeout=60
    )
    assert json.loads(done.stdout) == sound[1], done.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user"
)
def test_a_folder_of_another_user_is_not_written(monkeypatch):
    monkeypatch.setattr(private, "key_is_kept", lambda: True)
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        assert own_folder(folder / "views" / "lexical") == folder / "views" / "lexical"
        os.seteuid(65534)
        try:
            assert own_folder(folder / "views" / "lexical") != folder / "views" / "lexical"
        finally:
            os.seteuid(0)
    finally:
        shutil.rmtree(folder)


def test_a_child_that_was_forked_has_a_folder_of_its_own(monkeypatch, tmp_path, unwritable):
    mine = own_folder(tmp_path / "views")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    other = own_folder(tmp_path / "views")
    assert other not in (mine, tmp_path / "views")
    other.parent.rmdir()
