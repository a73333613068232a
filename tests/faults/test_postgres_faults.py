"""The server is killed in the middle of what a collection does: what was acknowledged is there afterwards,
what was not is there whole or not at all, the error is ours and says what to do, and the next call works.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from app.facade.jobs import find_job, resume_job, start_job
from app.indexing_job import IndexChoices
from app.jobs.kinds import index
from app.settings import Location
from indexing import Collection, faults
from indexing.errors import ConnectionLost, LockedError
from indexing.vectors.pgvector import PgvectorIndex
from tests.services.postgres import Server, databases_of

pytestmark = pytest.mark.faults

DIMENSION = 16


def every(request, few, many):
    """`make faults` does more of them."""
    return many if request.config.getoption("--kills") > 20 else few


VECTORS = np.random.default_rng(0).normal(size=(500, DIMENSION)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def server(request):
    """Killed processes lose nothing that the system has; `make faults` has it on the disk all the same."""
    server = Server(durable=every(request, False, True))
    yield server
    server.close()


@pytest.fixture
def url(server):
    databases = databases_of(server)
    url = databases.create()
    yield url
    databases.drop(url)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(PgvectorIndex, "scan_rows", 50)


def pytest_generate_tests(metafunc):
    if "step" in metafunc.fixturenames:
        metafunc.parametrize("step", every(metafunc, FEW, STEPS))


STEPS = [
    *("add.before", "add.inside", "add.after", "delete.inside", "delete.after"),
    *("publish.before", "publish.after", "purge.before", "purge.inside", "purge.after", "compact.before"),
    *("build.created", "follow.inside", "follow.after", "swap.before", "swap.inside", "swap.after"),
    *("rollback.inside", "rollback.after", "drop.inside"),
]
FEW = ["add.inside", "swap.inside"]


def documents(numbers):
    return [{"id": f"d{n}", "text": f"text {n}", "metadata": {"n": n}} for n in numbers]


def held(collection):
    """What there is, by a semantic search with as many results."""
    query = VECTORS[0]
    found = collection.search(vector=query, k=1000, mode="semantic").results
    scores = [result.score for result in found]
    assert scores == sorted(scores, reverse=True)
    return {result.id for result in found}


class Script:
    """What is done to a collection, a step at a time; each may be done again, and ends as if done once."""

    def __init__(self, collection):
        self.collection = collection
        self.expected = set()
        self.serving = None

    def steps(self):
        yield self.add, range(200)
        yield self.delete, range(20)
        yield self.add, range(200, 300)
        yield self.refresh, None
        yield self.reindex, None
        yield self.roll_back, None
        yield self.promote, None
        yield self.delete, range(100, 150)
        yield self.compact, None
        yield self.drop, None

    def add(self, numbers):
        self.collection.add(documents(numbers), vectors=VECTORS[list(numbers)])
        self.expected |= {f"d{n}" for n in numbers}

    def delete(self, numbers):
        self.collection.delete([f"d{n}" for n in numbers])
        self.expected -= {f"d{n}" for n in numbers}

    def refresh(self, _):
        assert self.collection.refresh()

    def reindex(self, _):
        self.serving = self.collection.reindex(precision="int8").serving.id

    def roll_back(self, _):
        if self.live() == self.serving:
            self.collection.rollback()
        assert self.live() != self.serving

    def promote(self, _):
        self.collection.promote(self.serving)

    def live(self):
        return next(serving.id for serving in self.collection.servings() if serving.live)

    def compact(self, _):
        self.collection.compact()

    def drop(self, _):
        live = next(one.generation for one in self.collection.servings() if one.live)
        for generation in {one.generation for one in self.collection.servings()} - {live}:
            self.collection.drop_generation(generation)


def test_a_server_that_is_killed_at_a_step(tmp_path, server, url, monkeypatch, step):
    """At each step that the package names, by SIGKILL and by an immediate stop, each once."""
    ways = [server.kill, server.stop][:: 1 if STEPS.index(step) % 2 else -1]

    def come_to(name):
        if name == step and ways:
            ways.pop()()
            server.start()

    said = []
    with Collection.create(
        "c", home=tmp_path, db=url, dimension=DIMENSION, engine="pgvector", precision="float32"
    ) as collection:
        script = Script(collection)
        monkeypatch.setattr(faults, "point", come_to)
        for do, numbers in script.steps():
            before = set(script.expected)
            while True:
                try:
                    do(numbers)
                except ConnectionLost as error:
                    said.append(str(error))
                    touched = set() if numbers is None else {f"d{n}" for n in numbers}
                    there = held(collection)
                    assert there - touched == before - touched
                    assert there & touched in (before & touched, touched - before, touched, set())
                    continue
                break
            assert held(collection) == script.expected
        assert len(ways) < 2  # some steps are not come to again: they lost nothing
        assert len(said) <= 2
        assert all("was lost" in one and "run it again" in one and "secret" not in one for one in said)
        assert collection.verify().errors == []
    with Collection.open("c", home=tmp_path, db=url) as again:
        assert held(again) == script.expected
        assert again.verify().clean


def test_a_server_that_is_killed_at_any_moment(request, tmp_path, server, url):
    """While documents come one batch after the other, and searches go on."""
    rounds = every(request, 2, 40)
    acknowledged, errors, searched = set(), [], []
    done = threading.Event()
    with Collection.create("c", home=tmp_path, db=url, dimension=DIMENSION, engine="pgvector") as collection:

        def write():
            number = 0
            while not done.is_set():
                batch = [f"b{number}-{i}" for i in range(10)]
                try:
                    collection.add([{"id": id_, "text": id_} for id_ in batch], vectors=VECTORS[:10])
                except ConnectionLost as error:
                    errors.append(str(error))
                    time.sleep(0.02)
                else:
                    acknowledged.update(batch)
                    number += 1

        def search():
            with Collection.open("c", home=tmp_path, db=url) as reader:
                while not done.is_set():
                    try:
                        searched.append(len(reader.search(vector=VECTORS[1], k=5, mode="semantic").results))
                    except ConnectionLost as error:
                        errors.append(str(error))
                        time.sleep(0.02)

        threads = [threading.Thread(target=write), threading.Thread(target=search)]
        for thread in threads:
            thread.start()
        for turn in range(rounds):
            time.sleep(0.4)
            before = len(acknowledged)
            (server.kill if turn % 2 else server.stop)()
            server.start()
            until = time.monotonic() + 30
            while len(acknowledged) == before and time.monotonic() < until:
                time.sleep(0.01)
            assert len(acknowledged) > before, errors[-3:]
        done.set()
        for thread in threads:
            thread.join(30)
        assert errors
        assert all("run it again" in said or "cannot be reached" in said for said in errors), set(errors)
        there = {
            result.id for result in collection.search(vector=VECTORS[0], k=100_000, mode="semantic").results
        }
        assert acknowledged <= there
        assert len(there - acknowledged) % 10 == 0  # a batch whose answer was lost: whole, or not there
        assert collection.verify().clean


def test_of_two_writers_one_is_told_at_once(tmp_path, url):
    """Each with a connection of its own, as on two hosts: the second waits for nothing."""
    writing, go_on = threading.Event(), threading.Event()

    def slowly():
        yield from documents(range(3))
        writing.set()
        assert go_on.wait(30)
        yield from documents(range(3, 5))

    with (
        Collection.create("c", home=tmp_path / "one", db=url, dimension=DIMENSION) as first,
        Collection.open("c", home=tmp_path / "two", db=url) as second,
    ):
        adding = threading.Thread(target=lambda: first.add(slowly(), vectors=VECTORS[:5]))
        adding.start()
        assert writing.wait(30)
        began = time.monotonic()
        for change in (
            lambda: second.add(documents([9]), vectors=VECTORS[9:10]),
            lambda: second.delete(["d0"]),
        ):
            with pytest.raises(LockedError, match=r"collection 'c' is being written by process \d+ on "):
                change()
        assert time.monotonic() - began < 8  # who waits for a lock does so for ten seconds
        assert held(second) <= {"d0", "d1", "d2"}
        go_on.set()
        adding.join(30)
        second.add(documents([9]), vectors=VECTORS[9:10])
        assert held(first) == held(second) == {"d0", "d1", "d2", "d3", "d4", "d9"}


READ = """
import sys, time
from pathlib import Path
import numpy as np
from indexing import Collection

home, url, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
rng = np.random.default_rng(int(sys.argv[4]))
with Collection.open("c", home=home, db=url) as collection:
    print("ready", flush=True)
    end, count, late = time.monotonic() + seconds, 0, 0.0
    while time.monotonic() < end:
        query = rng.normal(size=16)
        found = collection.search(vector=query / np.linalg.norm(query), k=20, mode="semantic").results
        assert len({result.id for result in found}) == 20, len(found)
        acknowledged = [line.split() for line in Path(home, "acknowledged").read_text().splitlines()]
        began = time.time()
        beats = collection.search("beat", k=5, mode="keyword").results
        assert len(beats) == 1, beats
        missed = [float(at) for number, at in acknowledged if int(number) > beats[0].metadata["number"]]
        late = max([late, *(began - at for at in missed)])
        count += 1
    print(count, late, flush=True)
"""


def test_ten_readers(request, tmp_path, url):
    """Each a process of its own (in `make test` two, for seconds), while one writes, ten times a second."""
    seconds, readers = every(request, (3, 2), (60, 10))
    with Collection.create("c", home=tmp_path, db=url, dimension=DIMENSION, engine="pgvector") as collection:
        collection.add(documents(range(300)), vectors=VECTORS[:300])
        number = 0

        def beat():
            """A document with a number, in place of the last one, and others come and go; when it was
            acknowledged stands in a file.
            """
            nonlocal number
            number += 1
            now = [{"id": "now", "text": "beat", "metadata": {"number": number}}]
            collection.add([*now, *documents([300 + number % 100])], vectors=VECTORS[[0, 300 + number % 100]])
            with (tmp_path / "acknowledged").open("a") as acknowledged:
                acknowledged.write(f"{number} {time.time()}\n")
            collection.delete([f"d{300 + (number + 50) % 100}"])

        beat()
        command = [sys.executable, "-c", READ, str(tmp_path), url, str(seconds)]
        processes = [
            subprocess.Popen([*command, str(i)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for i in range(readers)
        ]
        ended = []
        waiting = threading.Thread(target=lambda: ended.extend(one.communicate() for one in processes))
        waiting.start()
        while waiting.is_alive():
            beat()
            time.sleep(0.1)
        for process, (out, err) in zip(processes, ended, strict=True):
            assert (process.returncode, err) == (0, "")
            count, late = out.split()[1:]
            assert int(count) > 5
            # Of what was acknowledged before a search began, its answer lacks at most what is so new.
            assert float(late) < every(request, 1, 2)


def test_a_job_whose_server_is_killed(tmp_path, server, url):
    """It ends by itself or is seen to be interrupted, and goes on where it was: no document is missing."""
    path = tmp_path / "notes.jsonl"
    lines = (json.dumps({"id": f"d{i}", "text": f"{i} bread and butter " * 20}) for i in range(3_000))
    path.write_text("\n".join(lines), encoding="utf-8")
    location = Location(tmp_path / "home", url)
    job = start_job(location, "index", index.describe("notes", [path], IndexChoices()))
    wait(location, job.id, lambda job: job.done > 0)
    server.kill()
    server.start()
    ended = wait(location, job.id, lambda job: job.state not in ("queued", "running"))
    if ended.state != "done":
        assert ended.state in ("interrupted", "failed"), ended
        said = ("was lost", "cannot be reached", "ended without a word")
        assert any(words in str(ended.error) for words in said)
        with Collection.open("notes", **location.arguments()) as collection:
            assert collection.info().documents >= ended.done - 1024
        resume_job(location, job.id)
        ended = wait(location, job.id, lambda job: job.finished)
    assert ended.state == "done"
    with Collection.open("notes", **location.arguments()) as collection:
        report = collection.verify()
        assert (report.documents, report.clean) == (3_000, True)


def wait(location, id_, until):
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        job = find_job(location, id_)
        if until(job):
            return job
        time.sleep(0.05)
    pytest.fail(f"still {job}")
