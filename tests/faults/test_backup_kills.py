"""Backups, restores, copies and imports that are killed, or have no room: nothing half-made is there."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.facade.backups import back_up, copy, restore
from app.facade.caller import local_caller
from app.facade.exchange import export_parquet, import_parquet
from app.feedback.place import feedback_place
from app.feedback.table import close_databases, read_sayings
from app.settings import Location
from app.tuning.runs import read_runs
from indexing import Collection
from indexing.errors import CollectionExists, DiskFull, IndexingError

pytestmark = pytest.mark.faults

ME = local_caller()

# Forks a child for each line that it reads: importing everything anew for each would take a second.
RUNNER = """
import json, os, sys
from pathlib import Path
from app.facade.backups import back_up, copy, restore
from app.facade.caller import local_caller
from app.facade.exchange import import_parquet
from app.settings import Location
from indexing import faults
from app.feedback import log

def place(text):
    return Location(db=text) if "://" in text else Location(Path(text))

def run(order):
    me, what = local_caller(), order["what"]
    if what == "backup":
        back_up(me, place(order["from"]), Path(order["to"]), ["c"])
    elif what == "restore":
        restore(me, place(order["to"]), Path(order["from"]), replace=order["replace"])
    elif what == "copy":
        copy(me, place(order["from"]), "c", place(order["to"]), replace=order["replace"])
    else:
        import_parquet(me, place(order["to"]), "c", Path(order["from"]))

for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if not child:
        status = 1
        try:
            faults._NAME = order.get("fault") or ""
            run(order)
            status = 0
        except Exception as error:
            print(type(error).__name__, error, file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    """Runs one action in a process of its own, which ends itself at a point or is killed after a while;
    returns whether it was killed.
    """
    folder = tmp_path_factory.mktemp("runner")
    (folder / "runner.py").write_text(RUNNER)
    process = subprocess.Popen(
        [sys.executable, str(folder / "runner.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )

    def run(what, source, target, fault="", *, replace=False, after=None):
        order = {"what": what, "from": str(source), "to": str(target), "fault": fault, "replace": replace}
        print(json.dumps(order), file=process.stdin, flush=True)
        child = int(process.stdout.readline())
        if after is not None:
            timer = threading.Timer(after, os.kill, (child, signal.SIGKILL))
            timer.start()
        status = int(process.stdout.readline())
        if after is not None:
            timer.cancel()
        assert status in (0, signal.SIGKILL), "it failed"
        return status == signal.SIGKILL

    yield run
    process.stdin.close()
    process.wait(30)
    process.stdout.close()


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A home with a collection that something was said of."""
    from app.facade.feedback import record
    from app.tuning.runs import add_run

    location = Location(tmp_path_factory.mktemp("used") / "home")
    with Collection.create("c", **location.arguments()) as collection:
        collection.add(documents(400))
        for n in range(5):
            record(ME, location, collection, f"question {n}", str(n), "up")
        add_run(location, collection.uuid, "ranking", candidate=1, promoted=False, seconds=1.0)
    close_databases()
    return location


def documents(count):
    return [{"id": str(n), "text": f"Document {n} speaks of bees and honey."} for n in range(count)]


def state(location):
    """What is there of the collection; None if it is not."""
    if "c" not in Collection.list(**location.arguments()):
        return None
    with Collection.open("c", **location.arguments()) as collection:
        assert not collection.verify().errors
        said = [(one.query, one.document) for one in read_sayings(feedback_place(location), collection.uuid)]
        tuned = len(read_runs(location, collection.uuid))
        found = [one.id for one in collection.search("document 77", k=3)]
        close_databases()
        return len(collection), said, tuned, found


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".tmp-")]


@pytest.mark.parametrize("fault", ["backup.said", "backup.inside", "backup.before"])
def test_a_backup_is_whole_or_not_there(runner, used, tmp_path, fault):
    target = tmp_path / "b.tar"
    assert runner("backup", used.home, target, fault) and not target.exists()
    assert not runner("backup", used.home, target)
    restore(ME, Location(tmp_path / "again"), target)
    assert state(Location(tmp_path / "again")) == state(used)


@pytest.fixture(scope="module")
def backup(used, tmp_path_factory):
    path = tmp_path_factory.mktemp("backup") / "b.tar"
    back_up(ME, used, path, ["c"])
    return path


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("home", "restore.said"), ("home", "copy.before"), ("home", "copy.after"), ("file", "copy.before")],
)
def test_a_restore_is_whole_or_not_there(runner, used, backup, tmp_path, fault, kind):
    target = Location(tmp_path / "t") if kind == "home" else Location(db=f"sqlite:///{tmp_path / 't.db'}")
    named = target.db or target.home
    assert runner("restore", backup, named, fault)
    there = fault.endswith("after")
    assert state(target) == (state(used) if there else None)
    if not there:
        assert not runner("restore", backup, named)
        assert state(target) == state(used)  # once each, also what was said before it was killed
    if kind == "home":
        assert [name for name in leftovers(target.home / "collections") if ".said" not in name] == [] or there


@pytest.mark.parametrize("kind", ["home", "file"])
@pytest.mark.parametrize("fault", ["copy.before"])
def test_what_gives_way_is_there_until_then(runner, used, backup, tmp_path, fault, kind):
    target = Location(tmp_path / "t") if kind == "home" else Location(db=f"sqlite:///{tmp_path / 't.db'}")
    with Collection.create("c", **target.arguments()) as collection:
        collection.add([{"id": "old", "text": "What was there before."}])
    assert runner("restore", backup, target.db or target.home, fault, replace=True)
    assert state(target)[0] == (400 if fault == "copy.after" else 1)
    assert not runner("restore", backup, target.db or target.home, replace=True)
    assert state(target)[:3] == state(used)[:3]


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("home", "copy.before"),
        ("file", "copy.before"),
        ("server", "copy.reserved"),
        ("server", "copy.before"),
    ],
)
def test_a_copy_is_whole_or_not_there(runner, used, tmp_path, fault, kind, request):
    db = request.getfixturevalue("postgres_url") if kind == "server" else f"sqlite:///{tmp_path / 't.db'}"
    target = Location(tmp_path / "t") if kind == "home" else Location(db=db)
    assert runner("copy", used.home, target.db or target.home, fault)
    assert state(target) == (state(used) if fault == "copy.after" else None)
    if fault != "copy.after":
        assert not runner("copy", used.home, target.db or target.home)
        assert state(target) == state(used)


def test_killed_at_any_moment(runner, used, backup, tmp_path, request):
    """A restore, a copy and an import, at random moments; each goes through when it is run again."""
    moments = random.Random(0)
    expected = state(used)
    export_parquet(ME, used, "c", tmp_path / "c.parquet", vectors=True)
    sources = {"restore": backup, "copy": used.home, "import": tmp_path / "c.parquet"}
    for number in range(max(3, request.config.getoption("--kills") // 5)):
        what = ("restore", "copy", "import")[number % 3]
        target = Location(tmp_path / f"t{number}")
        killed = runner(what, sources[what], target.home, after=moments.uniform(0.0, 0.4))
        found = state(target)
        if what == "import":  # each batch that was stored stays
            import_parquet(ME, target, "c", sources[what])
            assert state(target)[0] == 400
        elif found is None:
            assert killed and not runner(what, sources[what], target.home)
            assert state(target) == expected
        else:
            assert found == expected
        shutil.rmtree(target.home)


def test_others_write_and_search_while_a_backup_is_made(used, tmp_path):
    """What a backup holds is what was there at one moment: no document without those before it."""
    location = Location(tmp_path / "busy")
    shutil.copytree(used.home, location.home)
    stop, failures, found = threading.Event(), [], []

    def write():
        with Collection.open("c", **location.arguments()) as collection:
            number = 0
            while not stop.is_set():
                collection.add([{"id": f"new-{number}", "text": f"New document {number}."}])
                number += 1
            found.append(number)

    def search():
        with Collection.open("c", **location.arguments()) as collection:
            while not stop.is_set():
                if not collection.search("bees and honey", k=3):
                    failures.append("nothing was found")

    threads = [threading.Thread(target=write), threading.Thread(target=search)]
    for thread in threads:
        thread.start()
    for number in range(4):
        time.sleep(0.05)
        back_up(ME, location, tmp_path / f"{number}.tar", ["c"])
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == [] and found[0] > 4
    sizes = []
    for number in range(4):
        again = Location(tmp_path / f"again{number}")
        restore(ME, again, tmp_path / f"{number}.tar")
        with Collection.open("c", **again.arguments()) as collection:
            assert collection.verify().clean
            new = sorted(int(one.id[4:]) for one in collection.documents() if one.id.startswith("new-"))
            assert new == list(range(len(new))) and len(collection) == 400 + len(new)
            sizes.append(len(new))
    assert sizes == sorted(sizes) and sizes[-1] > 0


@pytest.fixture
def small_disk(tmp_path):
    """A disk with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "none", folder], capture_output=True
    ).returncode:
        pytest.skip("only root may make a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_without_room_nothing_is_left(used, backup, small_disk, monkeypatch, tmp_path):
    before = state(used)
    # Room is asked for before; this is what happens when it goes meanwhile.
    for module in ("indexing.upkeep.snapshot", "app.backups.restoring"):
        monkeypatch.setattr(f"{module}.require_space", lambda *_: None)
    with pytest.raises(DiskFull):
        back_up(ME, used, small_disk / "b.tar", ["c"])
    assert list(small_disk.iterdir()) == []
    others = small_disk / "what others keep there"
    others.write_bytes(bytes(500_000))
    with pytest.raises(DiskFull):
        restore(ME, Location(small_disk / "home"), backup)
    assert list(small_disk.iterdir()) == [others]
    with pytest.raises(DiskFull):
        copy(ME, used, "c", Location(small_disk / "home"))
    assert Collection.list(home=small_disk / "home") == []
    with pytest.raises(DiskFull):
        copy(ME, used, "c", Location(db=f"sqlite:///{small_disk / 'x.db'}"))
    monkeypatch.undo()
    with pytest.raises(DiskFull, match="needed"):
        restore(ME, Location(small_disk / "home"), backup)
    assert state(used) == before


def test_two_restores_of_one_name(backup, tmp_path):
    """One makes it, the other is told."""
    target = Location(tmp_path / "t")
    answers = []

    def run():
        try:
            restore(ME, target, backup)
            answers.append("done")
        except IndexingError as error:
            answers.append(type(error).__name__)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers.count("done") == 1
    assert set(answers) <= {"done", "LockedError", CollectionExists.__name__}
    assert state(target)[0] == 400
