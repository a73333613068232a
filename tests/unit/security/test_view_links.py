"""Links inside a collection's folder lead nowhere: what they point to is not read, written or removed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from indexing import Collection
from indexing.errors import StorageError
from indexing.storage.files import remove, remove_temporary

DOCUMENTS = [{"id": "bee", "text": "Bees make honey."}, {"id": "dog", "text": "Dogs bark at night."}]


@pytest.fixture
def folder(tmp_path) -> Path:
    """The folder of a collection whose views are published."""
    with Collection.create("c", home=tmp_path / "home") as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
    return tmp_path / "home" / "collections" / "c"


def move_behind_a_link(path: Path, outside: Path) -> dict[str, bytes]:
    """Moves `path` to `outside`, beside things of somebody else, and leaves a link; what is there then."""
    path.rename(outside)
    (outside / "damaged-0-diary").mkdir()
    (outside / "damaged-0-diary" / "page").write_text("mine")
    (outside / ".tmp-mine").write_text("mine")
    path.symlink_to(outside)
    return content(outside)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("name", ["views", "views/lexical", "views/vectors"])
@pytest.mark.parametrize("use", ["refresh", "rebuild_views", "verify", "drop"])
def test_a_link_in_place_of_a_view_folder(folder, tmp_path, name, use):
    before = move_behind_a_link(folder / name, tmp_path / "outside")
    with Collection.open("c", home=tmp_path / "home") as collection:
        collection.delete(["dog"])
        getattr(collection, use)()
        if use != "drop":
            for mode in ("semantic", "keyword"):
                assert collection.search("honey", mode=mode).results[0].id == "bee"
            collection.refresh()
            assert collection.verify().clean
            assert not (folder / name).is_symlink()
    assert content(tmp_path / "outside") == before


@pytest.mark.parametrize("view", ["lexical", "vectors"])
def test_a_link_in_place_of_a_snapshot(folder, tmp_path, view):
    (snapshot,) = (folder / "views" / view).iterdir()
    before = move_behind_a_link(snapshot, tmp_path / "outside")
    with Collection.open("c", home=tmp_path / "home") as collection:
        for mode in ("semantic", "keyword"):
            assert collection.search("honey", mode=mode).results[0].id == "bee"
        collection.rebuild_views()
        assert collection.verify().clean
    assert content(tmp_path / "outside") == before


def test_a_link_in_place_of_the_folder_of_locks(folder, tmp_path):
    before = move_behind_a_link(folder / "locks", tmp_path / "outside")
    with (
        Collection.open("c", home=tmp_path / "home") as collection,
        pytest.raises(StorageError, match="locks is a symbolic link"),
    ):
        collection.add([{"id": "owl", "text": "Owls hunt at night."}])
    assert content(tmp_path / "outside") == before


@pytest.mark.parametrize(
    ("lock", "use"),
    [("documents.lock", lambda c: c.delete(["dog"])), ("views.lock", lambda c: c.rebuild_views())],
)
def test_a_link_in_place_of_a_lock_writes_no_foreign_file(folder, tmp_path, lock, use):
    diary = tmp_path / "diary"
    diary.write_text("mine")
    (folder / "locks" / lock).unlink()
    (folder / "locks" / lock).symlink_to(diary)
    with (
        Collection.open("c", home=tmp_path / "home") as collection,
        pytest.raises(StorageError, match="lock is a symbolic link"),
    ):
        use(collection)
    assert diary.read_text() == "mine"


@pytest.mark.parametrize(
    ("lock", "use"),
    [("documents.lock", lambda c: c.delete(["dog"])), ("views.lock", lambda c: c.rebuild_views())],
)
def test_a_pipe_in_place_of_a_lock_is_not_waited_for(folder, lock, use):
    (folder / "locks").mkdir(exist_ok=True)
    (folder / "locks" / lock).unlink(missing_ok=True)
    os.mkfifo(folder / "locks" / lock)
    with (
        Collection.open("c", home=folder.parents[1]) as collection,
        pytest.raises(StorageError, match="lock is a pipe or a device instead of a file"),
    ):
        use(collection)


def test_removing_a_link_leaves_what_it_leads_to(tmp_path):
    diary = tmp_path / "diary"
    diary.mkdir()
    (diary / "page").write_text("mine")
    for name in ("link", ".tmp-link"):
        (tmp_path / name).symlink_to(diary)
    inner = tmp_path / "folder"
    inner.mkdir()
    (inner / "link").symlink_to(diary)
    remove(tmp_path / "link")
    remove(inner)
    remove_temporary(tmp_path)
    assert list(tmp_path.iterdir()) == [diary]
    assert (diary / "page").read_text() == "mine"


def test_the_first_process_of_a_machine_publishes_where_all_find_it(another_machine, tmp_path):
    """The key of the checksums is made by the first who needs it, and is as good as any from then on."""
    with Collection.create("c", home=tmp_path / "home") as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
    views = tmp_path / "home/collections/c/views"
    assert sorted(path.parent.name for path in views.glob("*/*-*.0")) == ["columns", "lexical", "vectors"]
