"""`kill -9` at every named step of a reindex, a swap, a rollback, a compaction and a drop, while documents
are added and deleted: nothing acknowledged is lost, nothing half-built is searched, nothing deleted returns.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indexing import Collection

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
QUERIES = ["how do whales breathe", "number seventeen of the list", "rust on iron"]

# Without ranges of codes, which a reindex takes from the documents of the moment, answers are the same
# whenever it ran.
WORK = """
import sys, threading
from contextlib import suppress
import indexing.generations.follow, indexing.upkeep.compact, indexing.writing.add
from indexing import ChunkSettings, Collection
from indexing.errors import BadInput

indexing.generations.follow.BATCH_DOCUMENTS = 40
indexing.upkeep.compact.FEW_REMOVALS = 5
indexing.writing.add.PUBLISH_CHANGES = 4
TOPICS = ["whales breathe air at the surface", "iron rusts in wet air", "bread dough rises with yeast"]

def say(*words):
    print(*words, flush=True)

def document(name, i):
    text = f"{TOPICS[i % 3]}. " * 6 + f"This is number {i} of the list of {name}."
    return {"id": f"{name}{i}", "text": text}

def change_documents():
    for i in range(12):
        c.add([document("late", i)])
        say("added", f"late{i}")
        c.delete([f"base{i}"])
        say("deleted", f"base{i}")

say("started")
c = Collection.open_or_create("c", precision="float32", home=sys.argv[1])
c.add(document("base", i) for i in range(100))
say("added", *(f"base{i}" for i in range(100)))
changing = threading.Thread(target=change_documents)
changing.start()
built = c.reindex(chunk=ChunkSettings(16, 0)).serving
changing.join()
with suppress(BadInput):  # one who was killed after the drop has nothing to go back to
    c.rollback()
c.add([document("between", i) for i in range(6)])
say("added", *(f"between{i}" for i in range(6)))
c.promote(built.id)
c.delete([f"base{i}" for i in range(20, 40)])
say("deleted", *(f"base{i}" for i in range(20, 40)))
c.compact()
for serving in c.servings():
    if not serving.live and serving.generation in {s.generation for s in c.servings()}:
        live = next(s for s in c.servings() if s.live)
        if serving.generation != live.generation:
            c.drop_generation(serving.generation)
say("done")
"""


ERASING = ("erase.", "renew.")
"""Steps of an erasure, which `test_erasing_kills` goes through."""


def fault_points() -> list[str]:
    """Every point that the package names, but those of erasing."""
    found = set()
    for path in (ROOT / "indexing").rglob("*.py"):
        found |= set(re.findall(r'"((?:\w+)\.(?:\w+))"', " ".join(_calls(path.read_text("utf-8")))))
    return sorted(one for one in found if not one.startswith(ERASING))


def _calls(text: str) -> list[str]:
    return re.findall(r"faults\.point\(([^)]*)\)", text)


FEW = ["follow.inside", "swap.inside", "rollback.after", "purge.inside", "drop.inside"]
"""Those of `make test`; `make faults` takes all."""


def pytest_generate_tests(metafunc):
    if "point" in metafunc.fixturenames:
        every = metafunc.config.getoption("--kills") > 20
        metafunc.parametrize("point", fault_points() if every else FEW)


def run(home: Path, fault: str = "") -> tuple[int, list[list[str]]]:
    """Exit code and the lines of what was acknowledged."""
    environment = {**os.environ, "STLIB_FAULT": fault, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(home)], capture_output=True, text=True, env=environment, timeout=120
    )
    assert not done.stderr or done.returncode == -signal.SIGKILL, done.stderr
    return done.returncode, [line.split() for line in done.stdout.splitlines()]


def look(home: Path) -> list:
    """Ids and scores of every mode."""
    with Collection.open("c", home=home) as collection:
        collection.rebuild_views()
        assert collection.verify().clean
        return [
            [(r.id, round(r.score, 4)) for r in collection.search(query, 200, mode=mode)]
            for query in QUERIES
            for mode in ("semantic", "keyword", "hybrid")
        ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    home = tmp_path_factory.mktemp("undisturbed")
    code, lines = run(home)
    assert (code, lines[-1]) == (0, ["done"])
    return look(home)


def test_the_points_are_known():
    assert set(FEW) <= set(fault_points())
    assert len(fault_points()) >= 20


def test_killed_at(point, undisturbed, tmp_path):
    code, lines = run(tmp_path, point)
    assert code == -signal.SIGKILL, f"{point} was never passed"
    if Collection.list(home=tmp_path):
        check_after_kill(tmp_path, lines)
    code, lines = run(tmp_path)
    assert (code, lines[-1]) == (0, ["done"])
    assert look(tmp_path) == undisturbed


def check_after_kill(home: Path, lines: list[list[str]]) -> None:
    with Collection.open("c", home=home) as collection:
        report = collection.verify()
        assert report.clean, report
        there, gone = set(), set()
        for what, *ids in lines:
            if what == "added":
                there |= set(ids)
            elif what == "deleted":
                there -= set(ids)
                gone |= set(ids)
        held = {document.id for document in collection}
        in_flight = {f"base{i}" for i in range(40)}  # a deletion may be committed and not yet said
        assert there - in_flight <= held
        assert not gone & held
        for mode in ("semantic", "keyword"):
            found = {r.id for r in collection.search("whales iron bread number list air", 400, mode=mode)}
            assert found == held, mode
