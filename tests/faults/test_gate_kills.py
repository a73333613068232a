"""`kill -9` between a look and its result: the look counts, and nothing was promoted or judged."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import Location
from app.tuning.runs import read_looks
from indexing import Collection

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]

WORK = """
import sys
from pathlib import Path
from app.feedback.judged import JudgedSet, Question
from app.settings import Location
from app.tuning.gate.run import run_gate
from indexing import Collection
from indexing.search.settings import SearchSettings

location = Location(Path(sys.argv[1]))
words = "whale iron bread music law bridge honey rocket garden winter".split()
with Collection.open_or_create("c", **location.arguments()) as collection:
    if len(collection.servings()) == 1:
        collection.add({"id": word, "text": f"a note about {word}"} for word in words)
        collection.create_serving(SearchSettings(weights={"keyword": 0.1}), note="less words")
    questions = [Question(word, f"what of {word}", "heldout", False, {word: 1}) for word in words]
    print(run_gate(location, collection, 2, JudgedSet(tuple(questions))).look)
"""


def work(home, fault=""):
    command = [sys.executable, "-c", WORK, str(home)]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "STLIB_FAULT": fault},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("fault", ["gate.look", "gate.result"])
def test_a_look_whose_process_died_counts(home, fault):
    killed = work(home, fault)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Collection.open("c", home=home) as collection:
        (look,) = read_looks(Location(home), collection.uuid)
        assert (look.number, look.p, look.verdict, look.report) == (1, None, None, None)
        assert collection.servings()[1].gate == {"verdict": "pending"}
        assert collection.servings()[0].live
    after = work(home)
    assert after.stdout == "2\n", after.stderr
    with Collection.open("c", home=home) as collection:
        assert [look.verdict for look in read_looks(Location(home), collection.uuid)] == [None, "failed"]
        assert collection.servings()[1].gate["look"] == 2
