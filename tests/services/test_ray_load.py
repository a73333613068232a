"""Bulk loads by Ray: the same as a plain load, whatever is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from indexing import Collection
from indexing.bulk import sources
from indexing.bulk.here import load_here
from indexing.bulk.plan import plan_shards
from indexing.bulk.ray.foreman import Foreman
from indexing.bulk.ray.run import load_by_ray
from indexing.bulk.ray.settings import MakerSettings, WorkSettings
from indexing.bulk.sources import NamedSource
from indexing.catalog.database import writing
from indexing.errors import BadInput, LockedError
from tests.services.ray import Watched, driver, ray_instance, watched
from tests.unit.bulk.given import facts, say_always

SIZE = 20
DOCUMENTS = 800


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("corpus") / "corpus.jsonl", DOCUMENTS)


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with ray_instance(tmp_path_factory.mktemp("ray"), slow=0.2) as instance:
        yield instance


def check_kept_to_itself(ray: Watched, told: Path) -> None:
    """The instance is reached by nobody else, and its logs do not name what only its processes are told: as
    the folder of the catalog, so the URL of a database.
    """
    import psutil
    import ray as library
    from ray.data._internal.usage.collector import usage_collection_disabled

    assert "RAY_AUTH_TOKEN" not in os.environ
    assert usage_collection_disabled()
    listening = set()
    for pid in ray.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            for one in psutil.Process(pid).net_connections("tcp"):
                if one.status == psutil.CONN_LISTEN:
                    listening.add(one.laddr.ip.removeprefix("::ffff:"))
    assert listening == {"127.0.0.1"}
    session = Path(library.nodes()[0]["RayletSocketName"]).parents[1]
    assert session.parents[1].stat().st_mode & 0o077 == 0
    logged = [
        path for path in session.rglob("*") if path.is_file() and str(told).encode() in path.read_bytes()
    ]
    assert logged == []


def write_corpus(path: Path, count: int) -> Path:
    """Documents of one passage each, which know each other by their titles."""
    lines = (
        {
            "id": f"d{i}",
            "title": f"title {i}",
            "text": f"This is number {i} of them, about {i % 97} and {i % 89}.",
        }
        for i in range(count)
    )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


def run(collection: Collection, source: Path, progress: Any = None, size: int = SIZE) -> Any:
    parts = collection._session, collection._views, collection._encoders
    with NamedSource(collection._session, source) as named:
        return load_by_ray(*parts, named, "auto", workers=2, piece_documents=size, progress=progress)


def plain(home: Path, source: Path) -> dict[str, Any]:
    with Collection.create("plain", home=home) as collection:
        collection.sync([source])
        return facts(collection)


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_a_load_whose_driver_worker_and_writer_are_killed_equals_a_plain_one(
    tmp_path: Path, corpus: Path, ray: Watched
):
    expected = plain(tmp_path, corpus)
    with Collection.create("loaded", home=tmp_path) as collection:
        first = watched(tmp_path / "first")
        with driver(first, "loaded", corpus, home=tmp_path, size=SIZE, slow=0.1) as process:
            assert process.stdout is not None
            stored = next(int(line) for line in process.stdout if int(line) > 0)
            kill(process.pid)
        assert 0 < stored < DOCUMENTS
        told = []
        ended: list[str] = []

        def progress(report: Any) -> None:
            told.append(report)
            title = next((one for one in ("Embedder", "Foreman") if one not in ended), None)
            if title is not None and (found := ray.processes(title)):
                kill(found[0])
                ended.append(title)

        report = run(collection, corpus, progress)
        assert (report.finished, report.resumed, report.bad) == (True, True, [])
        assert told[0].resumed
        assert told[0].added.committed >= stored
        assert ended == ["Embedder", "Foreman"]
        assert facts(collection) == expected
        assert collection.verify().errors == []
        counts = Counter(first.embedded() + ray.embedded())
        assert len(counts) == DOCUMENTS
        # One piece of each worker of the driver that was killed, and one of the worker that was.
        assert counts.total() - DOCUMENTS <= 3 * SIZE


def test_parts_that_change_before_they_are_read_are_named_and_tried_again(
    tmp_path: Path, ray: Watched, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "corpus"
    folder.mkdir()
    monkeypatch.setattr(sources, "plan_shards", partial(plan_shards, shard_bytes=4_000))
    changes = write_corpus(folder / "changes.jsonl", 100)
    rest = [json.loads(line) for line in changes.read_text("utf-8").splitlines()]
    stays = "".join(json.dumps({**line, "id": "s" + line["id"]}) + "\n" for line in rest)
    (folder / "stays.jsonl").write_text(stays, "utf-8")
    (folder / "torn.parquet").write_bytes(b"PAR1 no table PAR1")
    expected = plain(tmp_path / "home", folder)
    before = changes.stat()

    def change(*_: Any) -> None:
        changes.write_text("", "utf-8")

    with Collection.create("loaded", home=tmp_path / "home") as collection:
        with monkeypatch.context() as patch:
            patch.setattr("indexing.bulk.ray.driver.check_nodes", change)
            report = run(collection, folder)
        assert report.bad_count == len(report.bad) == report.shards - report.done > 1
        assert not report.finished
        assert ["torn.parquet" in str(one) for one in report.added.skips] == [True]
        assert all("changes.jsonl has changed" in one.reason for one in report.bad)
        assert sorted(one.id for one in collection) == sorted("s" + line["id"] for line in rest)
        write_corpus(changes, 100)
        os.utime(changes, ns=(before.st_atime_ns, before.st_mtime_ns))
        report = run(collection, folder)
        assert (report.finished, report.resumed, report.bad_count) == (True, True, 0)
        assert facts(collection) == expected
    check_kept_to_itself(ray, tmp_path / "home")


def test_a_foreman_that_was_killed_knows_no_places(ray: Watched):
    import ray as library

    maker = MakerSettings(1, None, "", {}, "")
    settings = WorkSettings("n", "u", None, None, {}, maker, 1, direct=False, alone=True).to_text()
    actor: Any = library.remote(Foreman).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
    foreman = actor.remote(settings)
    ask = [foreman.hello.remote(worker) for worker in ("a", "b", "a")]
    assert library.get(ask) == [0, 1, 0]
    kill(ray.wait_for("Foreman"))
    assert library.get(foreman.hello.remote("c")) is None
    library.kill(foreman)


def test_what_ends_a_load_is_told_and_nothing_is_lost(
    tmp_path: Path, ray: Watched, monkeypatch: pytest.MonkeyPatch
):
    corpus = write_corpus(tmp_path / "corpus.jsonl", DOCUMENTS)
    monkeypatch.setattr(sources, "plan_shards", partial(plan_shards, shard_bytes=20_000))
    with Collection.create("loaded", home=tmp_path) as collection:

        class Stop(BaseException):
            pass

        def stop_at_once(_: Any) -> None:
            raise Stop

        def stop(report: Any) -> None:
            if not report.added.committed:
                return
            with ray.held(), Collection.open("loaded", home=tmp_path) as other, pytest.raises(LockedError):
                run(other, corpus)
            raise Stop

        for how in (stop_at_once, stop):
            with pytest.raises(Stop):
                run(collection, corpus, how)
        assert [one.name for one in threading.enumerate() if "StreamingExecutor" in one.name] == []
        before = collection.count()
        assert 0 < before < DOCUMENTS
        corpus.touch()
        with pytest.raises(BadInput, match=r"corpus\.jsonl has changed .*--restart"):
            run(collection, corpus)
        assert collection.count() >= before


def test_a_part_that_is_read_in_another_way_now_begins_anew(
    tmp_path: Path, ray: Watched, monkeypatch: pytest.MonkeyPatch
):
    """Begun by this process, whose reader was another one; gone on with by workers."""
    corpus = write_corpus(tmp_path / "corpus.jsonl", 100)
    expected = plain(tmp_path, corpus)
    with Collection.create("loaded", home=tmp_path) as collection, monkeypatch.context() as patch:
        say_always(patch)

        def stop(report: Any) -> None:
            if report.added.received >= 2 * SIZE:
                raise KeyboardInterrupt

        parts = collection._session, collection._views, collection._encoders
        with NamedSource(collection._session, corpus) as named, pytest.raises(KeyboardInterrupt):
            load_here(*parts, named, piece_documents=SIZE, progress=stop)
        with writing(collection._session.database) as connection:
            connection.execute(text("UPDATE load_shard SET digest = 'other'"))
        report = run(collection, corpus)
        added = report.added
        assert (report.resumed, report.finished, report.bad) == (True, True, [])
        assert (added.received, added.added, added.unchanged, added.duplicates) == (100, 60, 40, 0)
        assert facts(collection) == expected
