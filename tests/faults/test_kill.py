"""`kill -9` at random moments: what was reported is there, and the end is that of an undisturbed run."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from indexing import Collection
from tests.toy_terms import ToyTerms

pytestmark = pytest.mark.faults

QUERIES = ["how do whales breathe", "number seventeen of the list", "rust on iron", "what is about bread"]

# Small batches and a view after each, so that a kill can fall into every step many times.
CHILD = """
import sys
import indexing.writing.add, indexing.writing.pipeline
from indexing import Collection
from tests_faults_workload import documents, doomed, revised
from toy_terms import ToyTerms

indexing.writing.pipeline.BATCH_DOCUMENTS = 24
indexing.writing.add.PUBLISH_SECONDS = 0.0
home = sys.argv[1]
print("started", flush=True)
names = Collection.list(home=home)
make = Collection.open if names else Collection.create
c = make("c", home=home, sparse=ToyTerms())
c.add(documents(), progress=lambda r: print("committed", r.committed, flush=True))
c.add(revised(), progress=lambda r: print("revised", r.committed, flush=True))
c.delete(doomed())
print("deleted", len(doomed()), flush=True)
c.refresh()
print("done", flush=True)
"""

WORKLOAD = """
COUNT = {count}
TOPICS = ["whales breathe air at the surface", "iron rusts in wet air", "bread dough rises with yeast",
          "a glacier moves slowly downhill", "bees dance to tell where flowers are"]

def documents():
    for i in range(COUNT):
        text = f"{TOPICS[i % 5]}. This is number {i} of the list."
        yield {"id": f"d{i}", "title": f"Note {i}", "text": text, "metadata": {"topic": i % 5}}

def revised():
    for i in range(0, COUNT, 4):
        text = f"{TOPICS[(i + 1) % 5]}. Now number {i} says this."
        yield {"id": f"d{i}", "title": f"Note {i}", "text": text}

def doomed():
    return [f"d{i}" for i in range(7, COUNT, 10)]
"""


@pytest.fixture(scope="module")
def count(pytestconfig) -> int:
    """Documents: of few kills each falls into a shorter run, which takes every kind of step ten times."""
    return 480 if pytestconfig.getoption("--kills") > 20 else 240


@pytest.fixture(scope="module")
def workload(tmp_path_factory, count) -> Path:
    folder = tmp_path_factory.mktemp("workload")
    (folder / "tests_faults_workload.py").write_text(WORKLOAD.replace("{count}", str(count)))
    (folder / "child.py").write_text(CHILD)
    shutil.copy(Path(__file__).parents[1] / "toy_terms.py", folder)
    return folder


def start(workload: Path, home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(workload / "child.py"), str(home)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(workload: Path, home: Path) -> float:
    """Runs to the end; the seconds from its first word to its last."""
    with start(workload, home) as process:
        assert process.stdout.readline() == "started\n"
        began = time.monotonic()
        out, error = process.communicate(timeout=120)
    assert out.endswith("done\n"), error
    return time.monotonic() - began


def answers(home: Path) -> list:
    """Ids and scores in every mode. Word statistics count deleted documents, hence the rebuild first."""
    with Collection.open("c", home=home, sparse=ToyTerms()) as collection:
        collection.rebuild_views()
        return [
            [(r.id, r.score) for r in collection.search(query, 20, mode=mode).results]
            for query in QUERIES
            for mode in collection.modes
        ]


@pytest.fixture(scope="module")
def undisturbed(workload, tmp_path_factory):
    home = tmp_path_factory.mktemp("undisturbed")
    seconds = finish(workload, home)
    return seconds, answers(home)


def test_kill_at_random_moments(workload, undisturbed, tmp_path, pytestconfig, count):
    seconds, expected = undisturbed
    rng = random.Random(20)
    for number in range(pytestconfig.getoption("--kills")):
        home = tmp_path / str(number)
        reported = kill_after(workload, home, rng.uniform(0, seconds))
        if Collection.list(home=home):
            check_after_kill(home, reported, number, count)
        finish(workload, home)
        assert answers(home) == expected, f"after kill {number}"


def kill_after(workload: Path, home: Path, seconds: float) -> list[str]:
    """Kills a run `seconds` after it began; the lines that it had printed."""
    with start(workload, home) as process:
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        return process.stdout.read().splitlines()


def check_after_kill(home: Path, reported: list[str], number: int, count: int) -> None:
    try:
        collection = Collection.open("c", home=home, sparse=ToyTerms())
    except Exception as error:
        raise AssertionError(f"kill {number} after {reported[-1:]}: cannot open") from error
    with collection:
        report = collection.verify()
        assert report.clean, (number, reported[-1:], report)
        last = {line.split()[0]: int(line.split()[1]) for line in reported if line != "done"}
        # Deleting begins once all revisions are reported; it may be committed and not yet reported.
        gone = count // 10 if last.get("revised") == count // 4 else 0
        assert report.documents + gone >= last.get("committed", 0), (number, reported[-1:])
        if "revised" in last:
            found = collection.search("Now number 0 says this", count, mode="semantic").results
            text = {r.id: r.text for r in found}
            for i in range(0, 4 * last["revised"], 4):
                revised = f"Now number {i} says this."
                assert text.get(f"d{i}", revised).endswith(revised), (number, i)
