"""`kill -9` while people judge: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest

from app.feedback.place import feedback_place
from app.feedback.table import close_databases, read_impressions, read_sayings
from app.settings import Location
from indexing import Collection

pytestmark = pytest.mark.faults

JUDGE = """
import sys
from itertools import count
from pathlib import Path
from app.facade.caller import Caller
from app.facade.feedback import record
from app.facade.search import SearchRequest, search
from app.settings import Location
from indexing import Collection

location, ann = Location(Path(sys.argv[1])), Caller("ann", "page", "visit")
collection = Collection.open("animals", home=location.home)
for number in count(int(sys.argv[2])):
    question = f"honey number {number}"
    found = search(collection, SearchRequest(q=question), caller=ann, location=location)
    record(ann, location, collection, question, "bee", "grade", number % 4, impression=found.id)
    print(number, found.id, flush=True)
"""


def test_every_acknowledged_judgment_survives(home):
    with Collection.create("animals", home=home) as collection:
        collection.add([{"id": "bee", "text": "Bees make honey."}])
    acknowledged = {}
    chance = random.Random(7)
    for _ in range(3):
        command = [sys.executable, "-c", JUDGE, str(home), str(1000 * len(acknowledged))]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            lines = [process.stdout.readline()]
            time.sleep(chance.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.read().splitlines()
        for line in lines:
            if len(parts := line.split()) == 2 and len(parts[1]) == 32:
                acknowledged[int(parts[0])] = parts[1]
    place = feedback_place(Location(home))
    try:
        said = read_sayings(place)
        shown = {one.id for one in read_impressions(place)}
    finally:
        close_databases()
    kept = {int(one.query.split()[-1]): one.impression for one in said}
    assert len(acknowledged) >= 3 and acknowledged.items() <= kept.items()
    assert len(kept) <= len(acknowledged) + 3  # one more of each run, killed between the disk and its word
    assert all((one.grade, one.document) == (int(one.query.split()[-1]) % 4, "bee") for one in said)
    assert shown <= set(kept.values()) | {
        one.impression for one in said
    }  # an answer may be lost with its queue
