"""Processes of a bulk load are killed with SIGKILL: no document is lost, none is there twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import text

from indexing import Collection, faults
from indexing.bulk.loads import begin, finish, forget_plan, shards_to_do, unfinished
from indexing.catalog.database import reading
from indexing.catalog.postgres import close_pools
from indexing.errors import ConnectionLost
from indexing.writing.add import Adding
from tests.services.postgres import Server, databases_of
from tests.unit.bulk.given import Given, documents, facts, load

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
COUNT, PER_SHARD, SIZE = 120, 8, 4

# One of several that store pieces of a load: it takes every shard whose turn is its own.
WORKER = """
import json, sys
from indexing import Collection
from indexing.bulk.bringing import bring_piece
from indexing.bulk.loads import Load
from indexing.bulk.writer import Writer
from indexing.errors import LoadTaken
from indexing.writing.add import Adding
from tests.unit.bulk.given import Given, documents


def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")  # whole lines, whenever it is killed
    sys.stdout.flush()


home, db, row, shards, count, per_shard = sys.argv[1:]
source = Given(documents(int(count)), int(per_shard))
with Collection.open("c", home=home, db=db or None) as c:
    session, load = c._session, Load.from_row(json.loads(row))
    writer = Writer(session, load)
    maker = Adding(session, c._views, c._encoders).maker_of(session.live())

    class Told:
        def make(self, texts):
            say("embedded", len(texts))
            return maker.make(texts)

    try:
        for number in json.loads(shards):
            shard, done = writer.shard(number)
            for piece in source.read(shard, done):
                report = bring_piece(writer, piece, load.generation, Told())
                say(report.outcome, number, piece.number)
    except LoadTaken as error:
        say("taken", error)
"""

# The whole load by one process, which is its own driver.
DRIVER = """
import sys
from indexing import Collection
from tests.unit.bulk.given import Given, documents, load

with Collection.open("c", home=sys.argv[1], db=sys.argv[2] or None) as c:
    print("ready", flush=True)
    report = load(c, Given(documents(int(sys.argv[3])), int(sys.argv[4])), piece_documents=4)
    print("done", report.added.added, report.resumed, flush=True)
"""


@pytest.fixture
def db(request):
    """None for a file of its own."""
    on_server = getattr(request, "param", "sqlite") == "postgres"
    return request.getfixturevalue("postgres_url") if on_server else None


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with Collection.create("c", home=tmp_path_factory.mktemp("plain")) as collection:
        collection.add(documents(COUNT))
        return facts(collection)


@dataclass
class Process:
    """A child, and what it has said so far."""

    child: subprocess.Popen
    lines: list[str] = field(default_factory=list)

    @classmethod
    def start(cls, script: str, *arguments: object, fault: str = "") -> Process:
        settings = {**os.environ, "PYTHONPATH": str(ROOT), "STLIB_FAULT": fault, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", script, *map(str, arguments)]
        process = cls(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=settings))
        process.thread = threading.Thread(target=process._listen)
        process.thread.start()
        return process

    def _listen(self) -> None:
        for line in self.child.stdout:
            self.lines.append(line.strip())

    def wait(self) -> int:
        code = self.child.wait(60)
        self.thread.join(10)
        self.child.stdout.close()
        return code

    def wait_for(self, word: str, count: int = 1) -> None:
        deadline = time.monotonic() + 60
        while sum(line.startswith(word) for line in self.lines) < count and self.child.poll() is None:
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.002)

    def kill(self) -> None:
        self.child.send_signal(signal.SIGKILL)
        self.wait()


def check(collection: Collection, plain: object) -> None:
    assert facts(collection) == plain
    assert collection.verify().clean
    with reading(collection._session.database) as connection:
        rows = connection.execute(text("SELECT count(*), count(DISTINCT id), max(seq) FROM document")).one()
    assert tuple(rows) == (COUNT, COUNT, COUNT)


def kill_workers(home: Path, db: str | None, plain: object, kills: int, seed: int) -> None:
    """Two processes store pieces at once; so many times one of them is killed, and started again."""
    draw = random.Random(seed)
    collection = Collection.open("c", home=home, db=db)
    session = collection._session
    source = Given(documents(COUNT), PER_SHARD)
    adding = Adding(session, collection._views, collection._encoders)
    with collection, session.writing_documents():
        adding.maker_of(session.live())
        begun = begin(session, source, SIZE)
        row = json.dumps(begun.to_row())
        finished: list[Process] = []

        def start() -> Process:
            shards = [shard.number for shard, _ in shards_to_do(session, begun)]
            draw.shuffle(shards)  # all are of both: whoever comes second finds pieces there
            arguments = (home, db or "", row, json.dumps(shards), COUNT, PER_SHARD)
            return Process.start(WORKER, *arguments)

        running = [start(), start()]
        for _ in range(kills):
            victim = running.pop(draw.randrange(2))
            victim.wait_for("stored", draw.randint(1, 4))
            time.sleep(draw.random() * 0.02)
            victim.kill()
            finished.append(victim)
            running.append(start())
        for process in running:
            assert process.wait() == 0
        finished += running
        report = finish(session, begun, adding)
        assert report.finished and report.added.added == COUNT
        forget_plan(session, begun)
        check(collection, plain)
    stored = [line for process in finished for line in process.lines if line.startswith("stored")]
    assert len(stored) == len(set(stored))
    embedded = sum(int(line.split()[1]) for p in finished for line in p.lines if line.startswith("embedded"))
    there = sum(line.startswith("there") for process in finished for line in process.lines)
    # A killed process has at most one piece that is embedded and not stored; two may be at the same one.
    assert embedded - COUNT <= (kills + there) * SIZE


def test_writers_that_are_killed_lose_and_double_nothing(home, plain):
    Collection.create("c", home=home).close()
    kill_workers(home, None, plain, kills=3, seed=1)


@pytest.mark.long
@pytest.mark.parametrize("db", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("seed", range(10))
def test_writers_that_are_killed_again_and_again(home, db, plain, seed):
    Collection.create("c", home=home, db=db).close()
    kill_workers(home, db, plain, kills=3, seed=seed)


def test_a_writer_left_over_from_a_killed_driver_is_refused(home, plain):
    """Also where nobody goes on with the load, but adds documents."""
    with Collection.create("c", home=home) as collection:
        session, source = collection._session, Given(documents(COUNT), PER_SHARD)
        with session.writing_documents():
            Adding(session, collection._views, collection._encoders).maker_of(session.live())
            row = json.dumps(begin(session, source, SIZE).to_row())
        arguments = (home, "", row, json.dumps(list(range(15))), COUNT, PER_SHARD)
        worker = Process.start(WORKER, *arguments)
        worker.wait_for("stored", 2)
        collection.add(documents(COUNT)[-3:])
        assert worker.wait() == 0 and worker.lines[-1].startswith("taken the bulk load into collection 'c'")
        there = len(collection)
        assert 8 + 3 <= there < COUNT
        assert load(collection, source, piece_documents=SIZE).resumed
        assert facts(collection) == plain and collection.verify().clean
        assert unfinished(session) == []


POINTS = [
    "load.planning",
    "load.planned",
    "piece.before@3",
    "piece.inside@7",
    "piece.noted@2",
    "piece.after@9",
    "load.finishing",
    "load.finished",
]


@pytest.mark.long
@pytest.mark.parametrize("db", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("point", POINTS)
def test_a_load_that_is_killed_at_a_named_point_goes_on(home, db, plain, point):
    Collection.create("c", home=home, db=db).close()
    arguments = (home, db or "", COUNT, PER_SHARD)
    killed = Process.start(DRIVER, *arguments, fault=point)
    assert killed.wait() == -signal.SIGKILL, killed.lines
    for fault in ("load.taking", "load.taken") if point == "piece.after@9" else ():
        assert Process.start(DRIVER, *arguments, fault=fault).wait() == -signal.SIGKILL
    again = Process.start(DRIVER, *arguments)
    assert again.wait() == 0, again.lines
    done = point == "load.finished"
    resumed = not done and point != "load.planning"
    assert again.lines[-1] == f"done {0 if done else COUNT} {resumed}"
    with Collection.open("c", home=home, db=db) as collection:
        check(collection, plain)


@pytest.mark.long
@pytest.mark.parametrize("point", ["piece.before", "piece.inside", "piece.noted", "piece.after"])
def test_a_server_that_is_killed_ends_the_load_which_goes_on(home, plain, monkeypatch, point):
    server = Server(durable=True)
    try:
        url = databases_of(server).create()
        come = []

        def come_to(name):
            come.append(name)
            if name == point and come.count(name) == 5:
                server.kill()
                server.start()

        monkeypatch.setattr(faults, "point", come_to)
        with Collection.create("c", home=home, db=url) as collection:
            with pytest.raises(ConnectionLost, match="was lost"):
                load(collection, Given(documents(COUNT), PER_SHARD), piece_documents=SIZE)
            assert len(collection) == SIZE * (5 if point == "piece.after" else 4)
            assert load(collection, Given(documents(COUNT), PER_SHARD), piece_documents=SIZE).resumed
            check(collection, plain)
    finally:
        close_pools()
        server.close()


@pytest.mark.long
@pytest.mark.parametrize("db", ["sqlite", "postgres"], indirect=True)
def test_a_load_that_is_killed_at_random_goes_on(home, db, plain):
    draw = random.Random(7)
    Collection.create("c", home=home, db=db).close()
    arguments = (home, db or "", COUNT, PER_SHARD)
    for _ in range(30):
        process = Process.start(DRIVER, *arguments)
        process.wait_for("ready")
        time.sleep(draw.random() * 0.25)
        process.kill()
    last = Process.start(DRIVER, *arguments)
    assert last.wait() == 0 and last.lines[-1].startswith("done"), last.lines
    with Collection.open("c", home=home, db=db) as collection:
        check(collection, plain)
