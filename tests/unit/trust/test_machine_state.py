"""What a machine keeps of its own: a key that all processes share, and records that survive damage."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from indexing.errors import StorageError
from indexing.storage import machine
from indexing.storage.machine import (
    KEY_BYTES,
    change_record,
    key_is_kept,
    machine_key,
    read_record,
    state_folder,
)

pytestmark = pytest.mark.usefixtures("another_machine")

PRINT_KEY = "from indexing.storage.machine import machine_key; print(machine_key().hex())"
REMEMBER = (
    "import sys; from indexing.storage.machine import change_record\n"
    "for number in range(20):\n"
    "    with change_record('models') as entries: entries[f'{sys.argv[1]}-{number}'] = {}\n"
)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def start(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)


def forget_keys(monkeypatch):
    monkeypatch.setattr(machine, "_keys", {})


def test_the_folder_is_where_the_environment_says_and_is_its_owner_s_alone():
    assert state_folder().name == "state of another machine"
    assert not state_folder().exists()
    assert len(machine_key()) == KEY_BYTES
    assert mode(state_folder()) == 0o700
    assert mode(state_folder() / "key") == 0o600
    assert (state_folder() / "key").read_bytes() == machine_key()


def test_without_the_variable_it_is_the_platform_s(monkeypatch, tmp_path):
    monkeypatch.delenv("STLIB_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "platform"))
    assert state_folder() == tmp_path / "platform" / "stlib"


@pytest.mark.parametrize("configured", [None, "~", "~nobody-of-this-name/state"])
def test_a_user_without_a_home_folder_has_no_state(monkeypatch, tmp_path, caplog, configured):
    for name in ("HOME", "XDG_STATE_HOME", "STLIB_STATE"):
        monkeypatch.delenv(name, raising=False)
    if configured:
        monkeypatch.setenv("STLIB_STATE", configured)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user number without a name
    monkeypatch.chdir(tmp_path)
    forget_keys(monkeypatch)
    assert machine_key() == machine_key()
    assert not key_is_kept()
    assert caplog.text.count("cannot keep a key") == 1
    with pytest.raises(StorageError):
        read_record("models")
    assert list(tmp_path.iterdir()) == []


def test_processes_that_come_together_agree_on_one_key():
    processes = [start(PRINT_KEY) for _ in range(4)]
    keys = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert keys == {machine_key().hex()}


def test_another_machine_has_another_key(monkeypatch, tmp_path):
    here = machine_key()
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "elsewhere"))
    assert machine_key() != here


@pytest.mark.parametrize("content", [b"", b"short", b"x" * (KEY_BYTES + 1)])
def test_a_damaged_key_is_set_aside_and_named(monkeypatch, caplog, content):
    state_folder().mkdir(mode=0o700)
    (state_folder() / "key").write_bytes(content)
    key = machine_key()
    assert f"key is damaged (has {len(content)} bytes" in caplog.text
    assert [path.read_bytes() for path in state_folder().glob("damaged-*-key")] == [content]
    forget_keys(monkeypatch)
    assert machine_key() == key


def test_a_key_that_others_could_have_written_is_not_used(monkeypatch, caplog):
    planted = b"k" * KEY_BYTES
    state_folder().mkdir(mode=0o700)
    (state_folder() / "key").write_bytes(planted)
    (state_folder() / "key").chmod(0o622)
    key = machine_key()
    assert key != planted
    assert machine_key() == key  # one for this process
    assert "others than its owner can write to" in caplog.text
    assert (state_folder() / "key").read_bytes() == planted


def test_a_folder_that_others_can_write_to_is_not_used(caplog):
    state_folder().mkdir()
    state_folder().chmod(0o777)
    assert len(machine_key()) == KEY_BYTES
    assert "chmod go-w" in caplog.text
    assert list(state_folder().iterdir()) == []
    with pytest.raises(StorageError, match="chmod go-w"):
        read_record("models")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_another_user_is_not_used(caplog):
    state_folder().mkdir(mode=0o700)
    os.chown(state_folder(), 12345, 12345)
    assert len(machine_key()) == KEY_BYTES
    assert "belongs to another user" in caplog.text


def test_a_pipe_in_place_of_the_key_is_not_waited_for(caplog):
    state_folder().mkdir(mode=0o700)
    os.mkfifo(state_folder() / "key", 0o600)
    assert len(machine_key()) == KEY_BYTES
    assert "is no plain file" in caplog.text


def test_a_file_in_place_of_the_folder_leaves_a_key_for_the_process(caplog):
    state_folder().write_text("in the way")
    assert machine_key() == machine_key()
    assert "cannot keep a key" in caplog.text
    with pytest.raises(StorageError), change_record("models"):
        pass


def test_a_record_is_read_as_it_was_written_and_by_its_owner_alone():
    assert read_record("models") == {}
    with change_record("models") as entries:
        entries["a"] = {"source": "/models/ä"}
    assert read_record("models") == {"a": {"source": "/models/ä"}}
    assert mode(state_folder() / "models.json") == 0o600


def test_after_an_exception_the_record_is_as_it_was():
    with change_record("models") as entries:
        entries["a"] = {}
    with suppress(RuntimeError), change_record("models") as entries:
        entries["b"] = {}
        raise RuntimeError
    assert read_record("models") == {"a": {}}


def test_the_oldest_entries_make_room(monkeypatch):
    monkeypatch.setattr(machine, "_RECORD_ENTRIES", 3)
    for name in "abcde":
        with change_record("models") as entries:
            entries[name] = {}
    assert list(read_record("models")) == ["c", "d", "e"]


DAMAGED = [b"", b"{", b"[]", b'{"a": 1}', b"\xff", b"\0" * 100, b"[" * 100_000]


@pytest.mark.parametrize("content", DAMAGED)
@pytest.mark.parametrize("written", [False, True])
def test_a_damaged_record_is_set_aside_and_named(caplog, content, written):
    with change_record("models") as entries:
        entries["a"] = {}
    (state_folder() / "models.json").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        if written:
            with change_record("models") as entries:
                assert entries == {}
                entries["b"] = {}
        assert read_record("models") == ({"b": {}} if written else {})
    assert caplog.text.count("models.json is damaged") == 1
    assert [path.read_bytes() for path in state_folder().glob("damaged-*-models.json")] == [content]


def test_two_processes_that_write_lose_nothing():
    processes = [start(REMEMBER, name) for name in ("x", "y")]
    for process in processes:
        process.communicate(timeout=60)
    assert set(read_record("models")) == {f"{name}-{number}" for name in "xy" for number in range(20)}
    assert json.loads((state_folder() / "models.json").read_bytes()).keys() == read_record("models").keys()


def test_threads_that_write_lose_nothing():
    def remember(name):
        for number in range(20):
            with change_record("models") as entries:
                entries[f"{name}-{number}"] = {}

    threads = [threading.Thread(target=remember, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_record("models")) == 60


def test_who_holds_the_lock_for_too_long_is_named(monkeypatch):
    monkeypatch.setattr(machine, "_LOCK_SECONDS", 0.05)
    with (
        change_record("models"),
        pytest.raises(StorageError, match=f"process {os.getpid()}"),
        change_record("models"),
    ):
        pass
