"""Atomic files, published folders, manifests and the folder lock."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexing.errors import CorruptView, DiskFull, LockedError, StorageError
from indexing.storage import files
from indexing.storage.files import (
    FolderLock,
    disk_errors,
    link_or_copy,
    remove,
    remove_temporary,
    require_space,
    write_atomic,
)
from indexing.storage.published import (
    publish_folder,
    read_manifest,
    read_verified,
    verify_file,
    verify_folder,
)


def published(tmp_path: Path) -> Path:
    with publish_folder(tmp_path / "v1", {"seq": 7, 3: "three"}) as folder:
        (folder / "a.bin").write_bytes(bytes(range(256)) * 40)
        (folder / "b.bin").write_bytes(b"")
    return tmp_path / "v1"


def fill_half(target: Path, error: BaseException) -> None:
    with publish_folder(target, expected_bytes=8 << 20) as folder:
        (folder / "a.bin").write_bytes(b"half")
        raise error


def test_write_atomic_replaces_the_content(tmp_path):
    path = tmp_path / "x.json"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_published_folder_verifies_and_keeps_its_meta(tmp_path):
    folder = published(tmp_path)
    assert verify_folder(folder)["meta"] == {"seq": 7, "3": "three"}
    assert sorted(p.name for p in folder.iterdir()) == ["a.bin", "b.bin", "manifest.json"]
    assert [p.name for p in tmp_path.iterdir()] == ["v1"]
    assert read_verified(folder, "a.bin") == bytes(range(256)) * 40
    assert verify_file(folder, "b.bin") == folder / "b.bin"


def test_an_exception_while_filling_leaves_nothing(tmp_path):
    with pytest.raises(KeyError):
        fill_half(tmp_path / "v1", KeyError("stop"))
    assert list(tmp_path.iterdir()) == []


def test_a_published_folder_is_not_replaced(tmp_path):
    folder = published(tmp_path)
    with pytest.raises(StorageError, match="published already"), publish_folder(folder):
        pass
    verify_folder(folder)


def damage_truncate(path):
    os.truncate(path, path.stat().st_size - 1)


def damage_grow(path):
    path.write_bytes(path.read_bytes() + b"\0")


def damage_flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def damage_zero(path):
    path.write_bytes(bytes(path.stat().st_size))


def damage_remove(path):
    path.unlink()


DAMAGES = [damage_truncate, damage_grow, damage_flip, damage_zero, damage_remove]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["a.bin", "manifest.json"])
def test_every_damage_is_found(tmp_path, damage, name):
    folder = published(tmp_path)
    damage(folder / name)
    with pytest.raises(CorruptView):
        verify_folder(folder)
    with pytest.raises(CorruptView):
        read_verified(folder, "a.bin")


def test_a_changed_manifest_value_is_found(tmp_path):
    folder = published(tmp_path)
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"seq": 7', '"seq": 8'))
    with pytest.raises(CorruptView, match="checksum"):
        read_manifest(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", '{"crc32": 1}', "[" * 100_000, "\0"])
def test_a_manifest_of_another_shape_is_corrupt(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(CorruptView):
        read_manifest(tmp_path)


def test_a_file_outside_the_manifest_is_not_trusted(tmp_path):
    folder = published(tmp_path)
    (folder / "c.bin").write_bytes(b"new")
    with pytest.raises(CorruptView, match="not in the manifest"):
        read_verified(folder, "c.bin")


def test_no_space_left_becomes_disk_full_with_what_was_needed(tmp_path):
    with pytest.raises(DiskFull, match=r"8\.0 MiB needed"):
        fill_half(tmp_path / "v1", OSError(errno.ENOSPC, "No space left on device"))
    assert list(tmp_path.iterdir()) == []


def test_more_than_the_disk_has_is_refused_before_writing(tmp_path):
    with pytest.raises(DiskFull), publish_folder(tmp_path / "v1", expected_bytes=1 << 60):
        pytest.fail("the block must not run")
    with pytest.raises(DiskFull, match="free some space"):
        require_space(tmp_path / "not" / "there", 1 << 60)


def test_other_system_errors_become_storage_errors(tmp_path):
    with pytest.raises(StorageError, match="Permission denied"), disk_errors(tmp_path):
        raise OSError(errno.EACCES, "Permission denied")
    with pytest.raises(StorageError):
        write_atomic(tmp_path / "missing" / "x", b"1")


def test_remove_and_remove_temporary(tmp_path):
    folder = published(tmp_path)
    (tmp_path / ".tmp-left-1-abc").mkdir()
    (tmp_path / ".tmp-left-1-abc" / "part").write_bytes(b"1")
    remove_temporary(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["v1"]
    remove(folder)
    remove(folder)
    assert list(tmp_path.iterdir()) == []


def test_linked_files_are_the_same_bytes(tmp_path):
    folder = published(tmp_path)
    (tmp_path / "work").mkdir()
    link_or_copy([folder / "a.bin", folder / "b.bin"], tmp_path / "work")
    assert (tmp_path / "work" / "a.bin").read_bytes() == (folder / "a.bin").read_bytes()
    (tmp_path / "work" / "a.bin").unlink()
    verify_folder(folder)


def test_the_second_holder_is_told_who_holds_the_lock(tmp_path):
    with FolderLock(tmp_path) as lock:
        assert lock.held
        with pytest.raises(LockedError, match=f"process {os.getpid()} on "):
            FolderLock(tmp_path).acquire()
    assert not lock.held
    with FolderLock(tmp_path):
        pass


def test_a_killed_holder_frees_the_lock(tmp_path):
    script = (
        "import sys, time; from indexing.storage.files import FolderLock; "
        "lock = FolderLock(sys.argv[1]).acquire(); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout.readline() == b"held\n"
            with pytest.raises(LockedError, match=f"process {child.pid} on "):
                FolderLock(tmp_path).acquire()
        finally:
            child.kill()
    with FolderLock(tmp_path) as lock:
        assert lock.held


def test_manifest_is_plain_json(tmp_path):
    body = json.loads((published(tmp_path) / "manifest.json").read_text())["body"]
    assert body["files"]["b.bin"] == {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}


def test_a_lock_whose_folder_is_removed_meanwhile_is_taken_anew(tmp_path, monkeypatch):
    """A collection may be deleted between opening its lock file and locking it."""
    lock_now = files._lock_without_waiting

    def after_removal(handle):
        monkeypatch.undo()
        shutil.rmtree(tmp_path / "locks")
        lock_now(handle)

    monkeypatch.setattr(files, "_lock_without_waiting", after_removal)
    with (
        FolderLock(tmp_path / "locks", "x.lock"),
        pytest.raises(LockedError),
        FolderLock(tmp_path / "locks", "x.lock"),
    ):
        pass
