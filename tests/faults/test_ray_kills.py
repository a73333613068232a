"""Processes of a load by Ray are killed again and again, whichever: the result equals a plain run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from indexing import Collection
from tests.services.ray import Watched, driver, ray_instance, watched
from tests.services.test_ray_load import plain, run, write_corpus
from tests.unit.bulk.given import facts

pytestmark = [pytest.mark.faults, pytest.mark.long]

SIZE = 32  # of pieces, as for transformers: what a killed process may have embedded for nothing
_DRIVER, _RAYLET = "driver", "raylet/raylet"
VICTIMS = {"Embedder": 8, "Foreman": 4, "read_shards": 3, _RAYLET: 2, _DRIVER: 3}
_ENDING = (_RAYLET, _DRIVER)  # with these the driver ends
_PATIENCE_S = 60


@pytest.mark.parametrize(("where", "documents", "kills"), [("sqlite", 50_000, 50), ("postgres", 16_000, 10)])
def test_whatever_is_killed_the_result_equals_a_plain_run(
    where: str,
    documents: int,
    kills: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
):
    db = request.getfixturevalue("postgres_url") if where == "postgres" else ""
    corpus = write_corpus(tmp_path / "corpus.jsonl", documents)
    expected = plain(tmp_path / "plain", corpus)
    home = tmp_path / "home"
    Collection.create("loaded", home=home, db=db or None).close()
    instance = watched(tmp_path / "ray")
    luck = random.Random(documents)
    at = sorted(luck.sample(range(documents * 6 // 10), kills))
    killed: Counter[str] = Counter()
    drivers = 0
    while _run(instance, corpus, home, db, at, luck, killed) is False:
        drivers += 1
        assert drivers <= 2 * kills
    assert killed.total() == kills
    with Collection.open("loaded", home=home, db=db or None) as collection:
        assert facts(collection) == expected
        assert collection.verify().errors == []
    times = Counter(instance.embedded())
    twice = times.total() - documents
    with capsys.disabled():
        sys.stdout.write(f"\n{where}: {dict(killed)}, {twice} of {documents} embedded twice\n")
    assert len(times) == documents
    assert 0 < twice <= documents * 0.05


def test_a_document_that_ends_processes_makes_its_part_bad(tmp_path: Path):
    corpus = write_corpus(tmp_path / "corpus.jsonl", 3 * SIZE)
    expected = plain(tmp_path, corpus)
    with (
        ray_instance(tmp_path / "ray") as instance,
        Collection.create("loaded", home=tmp_path) as collection,
    ):
        with instance.fatal(f"title {SIZE}"):
            report = run(collection, corpus, size=SIZE)
        assert (report.bad_count, report.shards, report.finished) == (1, 1, False)
        assert "piece 1 of it ended 5 processes" in report.bad[0].reason
        others = [f"d{i}" for i in range(3 * SIZE) if not SIZE <= i < 2 * SIZE]
        assert sorted(one.id for one in collection) == sorted(others)
        report = run(collection, corpus, size=SIZE)
        assert (report.finished, report.bad_count, facts(collection)) == (True, 0, expected)


def _run(
    instance: Watched,
    corpus: Path,
    home: Path,
    db: str,
    at: list[int],
    luck: random.Random,
    killed: Counter[str],
) -> bool:
    """One driver until it is killed (False) or has finished (True); `at` are the numbers of documents at
    which something is killed next.
    """
    with driver(instance, "loaded", corpus, home=home, db=db, size=SIZE, slow=0.05) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.strip().isdigit():
                assert line.strip() == "finished"
                return process.wait() == 0
            if at and int(line) >= at[0]:
                at.pop(0)
                title = _kill_one(instance, process, luck)
                killed[title] += 1
                if title in _ENDING:
                    process.wait(_PATIENCE_S)
                    return False
        log = (instance.folder / "driver.log").read_text("utf-8", "replace")
        raise AssertionError(log[-2000:])


def _kill_one(instance: Watched, process: subprocess.Popen[str], luck: random.Random) -> str:
    """Kills a process of the run; one that has no such process at the moment is spared for an embedder."""
    title = luck.choices(list(VICTIMS), list(VICTIMS.values()))[0]
    found = [process.pid] if title == _DRIVER else instance.processes(title)
    if not found:
        title, found = "Embedder", [instance.wait_for("Embedder")]
    victim = luck.choice(found)
    os.kill(victim, signal.SIGKILL)
    return title
