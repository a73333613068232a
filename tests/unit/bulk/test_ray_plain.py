"""What of loads by Ray needs no Ray: addresses, errors as rows, what processes are told, words for people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from app.loading_job import LoadChoices, absolute_address, is_address, say_bad
from indexing import Collection
from indexing.bulk.ray import foreman, stages
from indexing.bulk.ray.cluster import _environment, _remove_left_over, check_address
from indexing.bulk.ray.nodes import _raise_first
from indexing.bulk.ray.run import _refuse_told_password, _where
from indexing.bulk.ray.settings import MakerSettings, WorkSettings, error_from_row, error_to_row
from indexing.bulk.report import BadShard
from indexing.errors import BadInput, BadLine, DiskFull, LoadTaken, ModelMismatch, StorageError
from indexing.storage.files import FolderLock
from indexing.storage.paths import ServerDatabase


@pytest.mark.parametrize("address", ["local", "auto", "10.0.0.5:6379", "head.example:6379", "[::1]:6379"])
def test_addresses_of_clusters_are_taken(address: str):
    check_address(address)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://head:10001", "PostgreSQL"),
        ("head", "HOST:PORT"),
        ("head:", "HOST:PORT"),
        (":6379", "HOST:PORT"),
        ("head:99999", "HOST:PORT"),
        ("", "HOST:PORT"),
    ],
)
def test_other_addresses_are_refused_with_what_works(address: str, said: str):
    with pytest.raises(BadInput, match=said):
        check_address(address)


@pytest.mark.parametrize("error", [DiskFull("no space"), ModelMismatch("another"), StorageError("torn")])
def test_errors_go_between_processes_as_rows(error: Exception):
    again = error_from_row(error_to_row(error))
    assert (type(again), str(again)) == (type(error), str(error))


def test_an_error_that_takes_more_than_a_sentence_becomes_its_base():
    again = error_from_row(error_to_row(BadLine("a.jsonl", 3, "is no JSON")))
    assert (type(again), str(again)) == (BadInput, "a.jsonl, line 3: is no JSON")


def test_a_name_of_no_error_of_ours_makes_none_of_another_kind():
    assert type(error_from_row({"error": "SystemExit", "message": "x"})) is StorageError
    assert type(error_from_row({"error": "annotations", "message": "x"})) is StorageError


@pytest.mark.parametrize("error", [LoadTaken("it goes on elsewhere"), DiskFull("no space")])
def test_what_ends_a_load_while_it_is_read_keeps_its_kind(error: Exception, monkeypatch: pytest.MonkeyPatch):
    pa = pytest.importorskip("pyarrow")

    class Foreman:
        shard = None

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(stages, "_call", refuse)
    table = pa.table({"shard": [3, 4], "stored": [0, 0], "beyond": pa.array([[], []], pa.list_(pa.int64()))})
    (read,) = stages.read_shards(table, Foreman)
    embedder = object.__new__(stages.Embedder)
    embedder._failed = None
    (said,) = embedder(read).to_pylist()
    assert (said["shard"], said["outcome"]) == (3, stages.ERROR)
    again = error_from_row(json.loads(said["said"]))
    assert (type(again), str(again)) == (type(error), str(error))


def test_places_are_given_only_where_nobody_else_computes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(foreman, "_began_again", lambda: False)
    maker = MakerSettings(1, None, "", {}, "")
    alone = WorkSettings("n", "u", None, None, {}, maker, 1, direct=False, alone=True)
    one = foreman.Foreman(alone.to_text())
    assert [one.hello(worker) for worker in "abac"] == [0, 1, 0, 2]
    assert foreman.Foreman(replace(alone, alone=False).to_text()).hello("a") is None
    monkeypatch.setattr(foreman, "_began_again", lambda: True)
    assert one.hello("d") is None


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are not chosen here")
def test_a_model_is_loaded_with_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch):
    for name in stages._THREADS:
        monkeypatch.setenv(name, "9")
    cores = sorted(os.sched_getaffinity(0))
    seen = []

    def load(place: int | None) -> None:
        with stages._computing_with(1, place):
            seen.append((os.sched_getaffinity(0), os.environ["OMP_NUM_THREADS"]))
        seen.append((os.sched_getaffinity(0), os.environ["RAYON_NUM_THREADS"]))

    with ThreadPoolExecutor(1) as thread:
        for place in (None, len(cores), len(cores) - 1):  # the last one stays where it is
            thread.submit(load, place).result()
    everywhere, first, last = (set(cores), "1"), ({cores[0]}, "1"), ({cores[-1]}, "1")
    assert seen == [first, everywhere, first, everywhere, last, last]


def test_settings_come_back_as_they_were_and_hide_the_database(tmp_path: Path):
    maker = MakerSettings(3, None, "abc", {"max_tokens": 200}, "{}", {"sparse": {"model": "m"}})
    settings = WorkSettings("n", "u", None, "postgresql://u:pw@h/d", {"id": 1}, maker, 2, True)
    assert WorkSettings.from_text(settings.to_text()) == settings
    assert "pw" not in repr(settings)


def test_other_processes_open_what_this_one_has_open(tmp_path: Path):
    with Collection.create("notes", home=tmp_path / "home") as collection:
        home, db = _where(collection._session)
        with Collection.open("notes", home=home, db=db) as again:
            assert again.uuid == collection.uuid
    url = f"sqlite:///{tmp_path / 'one.db'}"
    with Collection.create("notes", db=url) as collection:
        home, db = _where(collection._session)
        with Collection.open("notes", home=home, db=db) as again:
            assert again.uuid == collection.uuid


def test_a_password_on_the_command_line_is_refused_with_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Session:
        class place:
            catalog = ServerDatabase("postgresql://u:pw@h/d")

    for arguments in (["--db", "postgresql://u:pw@h/d"], ["--db=postgresql://u:pw@h/d"]):
        monkeypatch.setattr(sys, "argv", ["stlib", "index", "n", "x", *arguments])
        with pytest.raises(BadInput, match="STLIB_DB") as told:
            _refuse_told_password(Session)  # type: ignore[arg-type]
        assert "pw" not in str(told.value)
    monkeypatch.setattr(sys, "argv", ["stlib", "index", "n", "x", "--db", "postgresql://u@h/d"])
    _refuse_told_password(Session)  # type: ignore[arg-type]


def test_what_is_wrong_on_nodes_names_them_and_keeps_its_kind():
    _raise_first({"one": {}, "two": {}})
    mismatch = error_to_row(ModelMismatch("in /m is now 123"))
    with pytest.raises(ModelMismatch, match=r"node b \(10\.0\.0\.2\): in /m is now 123; nothing was read"):
        _raise_first({"a (10.0.0.1)": {}, "b (10.0.0.2)": mismatch})
    with pytest.raises(ModelMismatch, match=r"node a, b: in /m .* \(and on 1 more of 3 nodes\)"):
        _raise_first({"a": mismatch, "b": mismatch, "c": {}})


def test_variables_are_those_of_before_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    with _environment({"RAY_ADDRESS": None, "RAY_AUTH_TOKEN": "t"}):
        assert "RAY_ADDRESS" not in os.environ
        assert os.environ["RAY_AUTH_TOKEN"] == "t"
    assert os.environ["RAY_ADDRESS"] == "10.0.0.5:6379"
    assert "RAY_AUTH_TOKEN" not in os.environ


def test_folders_of_killed_instances_are_removed_and_those_in_use_are_not(tmp_path: Path):
    for name in ("stlib-ray-dead", "stlib-ray-alive", "stlib-ray-new", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "stlib-ray-dead" / "lock").touch()
    with FolderLock(tmp_path / "stlib-ray-alive", "lock"):
        _remove_left_over(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "stlib-ray-alive", "stlib-ray-new"]


def test_folders_are_removed_where_users_have_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "stlib-ray-dead").mkdir()
    (tmp_path / "stlib-ray-dead" / "lock").touch()
    monkeypatch.delattr(os, "getuid")
    _remove_left_over(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_process_without_stderr_needs_none():
    code = """
import os
from indexing.bulk.ray.cluster import _without_stderr
os.close(2)
with _without_stderr():
    print("went on")
try:
    os.fstat(2)
except OSError:
    print("closed")
"""
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout.split("\n")[:2] == ["went on", "closed"]


def test_how_a_load_is_run_comes_back_from_a_job():
    for choices in (LoadChoices(), LoadChoices("local", 2), LoadChoices("h:1", None, restart=True)):
        assert LoadChoices.from_json(choices.to_json()) == choices


def test_sources_are_told_from_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert is_address("memory://bucket/folder")
    assert not is_address("folder")
    assert absolute_address("memory://bucket/folder") == "memory://bucket/folder"
    assert absolute_address("folder") == str(tmp_path / "folder")


def test_a_bad_part_is_named_by_its_file():
    spec = {"files": [{"name": "a.jsonl"}, {"name": "b.jsonl"}]}
    assert say_bad(BadShard(3, "it is torn", spec)) == "a.jsonl and 1 more: it is torn"
    assert say_bad(BadShard(3, "a.jsonl has changed", spec)) == "a.jsonl has changed"
    assert say_bad(BadShard(3, "it is torn", {})) == "it is torn"
