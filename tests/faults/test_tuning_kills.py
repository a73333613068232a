"""`kill -9` while a model learns, while it is saved, and while the collection is embedded with it: what is
live stays, and the same call again ends in the same candidate as one that was never killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indexing import Collection

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]

WORK = """
import json, os, signal, sys
from types import SimpleNamespace
import numpy as np
import indexing.generations.follow
from app.settings import Location
from app.tuning.data import make_data
from app.tuning.levers.full import FullLever
from app.tuning.levers.reranker import RerankerLever
from app.tuning.trained import bi_encoder, candidates, interaction
from app.tuning.trained.candidates import make_candidate, models_folder
import pytest

from indexing import Collection

home, lever, kill = sys.argv[1:]
indexing.generations.follow.BATCH_DOCUMENTS = 5
bi_encoder.STATIC = bi_encoder._Kind(epochs=3, learning_rate=0.03, folds=2)
interaction.LEARNING_RATE = 0.02
WORDS = {"moggy": "cats sleep on warm roofs", "pooch": "dogs guard the house", "quid": "pounds are money",
         "brolly": "umbrellas keep the rain off", "telly": "television shows news", "gaffer": "he decides"}

def die():
    os.kill(os.getpid(), signal.SIGKILL)

losses = []
def tell(what, value):
    losses.append(what)
    if kill == "learning" and what.startswith("loss, fold 2"):
        die()
    if kill == "last learning" and what == "loss, all questions":
        die()

if kill == "saving":  # all files are written, and the folder has no name yet
    candidates.fsync_folder = lambda path: die()

with Collection.open_or_create("c", precision="float32", home=home) as c:
    if not len(c):
        c.add({"id": word, "text": text} for word, text in WORDS.items())
        c.add({"id": f"o{n}", "text": f"a page about number {n}"} for n in range(20))
        c.add({"id": f"{word}-a", "text": f"{word} {word} once more {word}"} for word in WORDS)
    asked = [SimpleNamespace(id=f"{word}{n}", text=text.format(word), grades={word: 1, f"{word}-a": 0})
             for word in WORDS for n, text in enumerate(("{}", "what of a {}", "my {}"))]
    with c.probe() as probe:
        data = make_data(probe, asked)
        data.folds = np.asarray([int(one.id[-1]) % 2 for one in data.questions])
        made = {"full": FullLever, "reranker": RerankerLever}[lever]()
        fitted = made.fit(data, np.arange(len(asked)), probe.settings, tell)
    candidate = make_candidate(c, fitted, models_folder(Location(home), "c"))
    texts = {one.id: one.text for one in asked}
    serving = next(one for one in c.servings() if one.id == candidate)
    print(json.dumps({"gain": fitted.cv.gain, "candidate": candidate,
                      "model": os.path.basename(serving.model),
                      "reranker": os.path.basename(serving.reranker or ""), "live": c.rankings(texts),
                      "rankings": c.rankings(texts, serving=candidate)}))
"""


def run(home, lever, kill="", fault=""):
    environment = {**os.environ, "STLIB_STATE": str(home / "state"), "PYTHONPATH": str(ROOT)}
    if fault:
        environment["STLIB_FAULT"] = fault
    command = [sys.executable, "-c", WORK, str(home), lever, kill]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def result(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


KILLS = {
    "full": [("learning", ""), ("last learning", ""), ("saving", ""), ("", "follow.inside")],
    "reranker": [("learning", ""), ("saving", "")],
}
FEW = {"reranker": [("saving", "")]}
"""Those of `make test`, as each loads torch three times; `make faults` takes all."""


def pytest_generate_tests(metafunc):
    if "lever" in metafunc.fixturenames:
        kills = KILLS if metafunc.config.getoption("--kills") > 20 else FEW
        metafunc.parametrize(("lever", "kills"), kills.items(), ids=kills)


def test_a_killed_lever_ends_in_the_same_candidate_when_it_is_called_again(lever, kills, tmp_path):
    whole = result(run(tmp_path / "whole", lever))
    home = tmp_path / "killed"
    for kill, fault in kills:
        died = run(home, lever, kill, fault)
        assert died.returncode == -signal.SIGKILL, (kill, fault, died.stderr)
        with Collection.open("c", home=home) as collection:
            servings = collection.servings()
            assert [one.id for one in servings if one.live] == [servings[0].id]
            assert [one.reranker for one in servings] == [None]
    again = result(run(home, lever))
    assert again == whole
    folder = home / "collections" / "c" / "models"
    assert len([path for path in folder.iterdir() if path.is_dir()]) == 1, "no half model is left"
