"""Killed between Milvus and the catalog, at every place that the package names: what is found is that of
brute force, verify is clean, Milvus is never ahead, and whoever does the step again completes it.

Milvus is a process of its own here, which goes on. The indexer is forked for each step from one that has
imported everything, and ends itself there.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from indexing import Collection
from indexing.catalog.database import reading
from indexing.catalog.generations import read_generation
from indexing.milvus.client import connect
from indexing.milvus.marker import Followed
from tests.services.milvus import MilvusServer

pytestmark = pytest.mark.faults

DIMENSION = 16

INDEXER = """
import json, os, sys
import numpy as np
import pymilvus
import indexing.faults
from indexing import Collection
from indexing.vectors.milvus import MilvusIndex

MilvusIndex.scan_rows = 20
rng = np.random.default_rng(0)
VECTORS = rng.normal(size=(400, 16)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)

def add(c, numbers):
    c.add([{"id": f"d{n}", "text": f"text {n}"} for n in numbers], vectors=VECTORS[list(numbers)])

def make(place):
    if "c" not in Collection.list(**place):
        Collection.create("c", **place, dimension=16, engine="milvus", precision="float32").close()
    with Collection.open("c", **place) as c:
        add(c, range(100))
        c.refresh()

def change(place):
    with Collection.open("c", **place) as c:
        c.delete([f"d{n}" for n in range(0, 100, 9)])
        add(c, range(100, 130))
        c.refresh()

def erase(place):
    with Collection.open("c", **place) as c:
        c.finish_erasures()
        if any(r.documents for r in c.erasures()) is False:
            c.erase(["d1", "d2"])

def reindex(place):
    with Collection.open("c", **place) as c:
        if c.info().engine == "milvus" and c.info().precision == "float32":
            c.reindex(precision="int8")
        for one in c.generations():
            if one.id != c.info().generation:
                c.drop_generation(one.id)

def drop(place):
    if "c" in Collection.list(**place):
        with Collection.open("c", **place) as c:
            c.drop()
    else:
        from indexing.storage.paths import collection_place
        from indexing.views.milvus_leftovers import drop_leftovers
        drop_leftovers(collection_place("c", **place))

print("ready", flush=True)
for line in sys.stdin:
    step, place, fault = json.loads(line)
    child = os.fork()
    if child == 0:
        indexing.faults._NAME, _, number = fault.partition("@")
        indexing.faults._PASS, indexing.faults._passes = number, 0
        try:
            globals()[step](place)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

STEPS = ["make", "change", "erase", "reindex", "drop"]
# Step, and the places that it comes to; with @n for the nth time.
PLACES = [
    ("make", "publish.before"),
    ("make", "milvus.created"),
    ("make", "milvus.indexed"),
    ("make", "milvus.made"),
    ("make", "milvus.written"),
    ("make", "milvus.marked"),
    ("change", "milvus.removed"),
    ("change", "milvus.written"),
    ("change", "milvus.marked"),
    ("change", "publish.after"),
    ("erase", "renew.before"),
    ("erase", "milvus.created"),
    ("erase", "milvus.made"),
    ("erase", "milvus.written"),
    ("erase", "milvus.marked"),
    ("erase", "milvus.dropped"),
    ("erase", "renew.inside"),
    ("reindex", "milvus.made"),
    ("reindex", "milvus.written"),
    ("reindex", "drop.inside"),
    ("reindex", "milvus.noted"),
    ("reindex", "milvus.dropped"),
    ("reindex", "drop.after"),
    ("drop", "drop.rows"),
    ("drop", "milvus.dropped"),
]
FEW = [("change", "milvus.written"), ("reindex", "milvus.noted")]

rng = np.random.default_rng(0)
VECTORS = rng.normal(size=(400, DIMENSION)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = MilvusServer(tmp_path_factory.mktemp("milvus"))
    yield started
    started.stop()


@pytest.fixture
def milvus(server, monkeypatch):
    monkeypatch.setenv("STLIB_MILVUS", server.address)
    return connect()


@pytest.fixture
def indexer(milvus):
    command = [sys.executable, "-c", INDEXER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"

        def run(step, place, fault=""):
            process.stdin.write(json.dumps([step, place, fault]) + "\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield run
        process.stdin.close()


def expected_ids(place):
    """What a catalog that was left anywhere should answer for a query, of what it has itself."""
    with Collection.open("c", **place) as collection:
        return {result.id for result in collection.search("text", k=1000, mode="keyword").results}


def check(milvus, place):
    """Of a collection that somebody left in the middle of something."""
    names = milvus.names("stlib_")
    read = [milvus.read_marker(name) for name in names]
    markers = [None if one is None else Followed.from_json(one.text) for one in read]
    with Collection.open("c", **place) as collection:
        live = collection._session.live().generation.id
        with reading(collection._session.database) as connection:
            last = read_generation(connection, live).last_change
        mine = [
            marker
            for name, marker in zip(names, markers, strict=True)
            if marker is not None and name.split("_")[2] == str(live)
        ]
        assert all(marker.change <= last for marker in mine)
        there = sorted(expected_ids(place), key=lambda id_: int(id_[1:]))
        vectors = VECTORS[[int(id_[1:]) for id_ in there]]
        for query in (VECTORS[3], VECTORS[120]):
            found = collection.search(vector=query, k=7, mode="semantic").results
            best = np.sort(vectors @ query)[::-1][:7]
            assert {result.id for result in found} <= set(there)
            assert len(found) == min(7, len(there))
            np.testing.assert_allclose([result.score for result in found], best, atol=0.03)
        report = collection.verify()
        assert (report.errors, report.repaired) == ([], [])


@pytest.mark.parametrize(
    ("step", "place"),
    [pytest.param(*one, marks=() if one in FEW else pytest.mark.long, id="-".join(one)) for one in PLACES],
)
def test_killed_at(milvus, indexer, tmp_path, step, place):
    here = {"home": str(tmp_path)}
    for before in STEPS[: STEPS.index(step)]:
        assert indexer(before, here) == 0
    assert indexer(step, here, place) == -9
    if step != "drop":
        check(milvus, here)
    assert indexer(step, here) == 0
    if step == "drop":
        assert milvus.names("stlib_") == []
        return
    check(milvus, here)
    assert len(milvus.names("stlib_")) == 1
    assert indexer("drop", here) == 0
    assert milvus.names("stlib_") == []


@pytest.mark.long
@pytest.mark.parametrize("place", ["milvus.made", "milvus.written", "milvus.marked"])
def test_killed_together_with_milvus(indexer, tmp_path, place, monkeypatch):
    """Milvus Lite in the process that is killed: its files are those of a power failure."""
    here = {"home": str(tmp_path / "home")}
    monkeypatch.setenv("STLIB_MILVUS", str(tmp_path / "own.db"))
    command = [sys.executable, "-c", INDEXER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        said = []
        for step, fault in (("make", ""), ("change", place), ("change", "")):
            process.stdin.write(json.dumps([step, here, fault]) + "\n")
            process.stdin.flush()
            said.append(int(process.stdout.readline()))
        process.stdin.close()
    assert said == [0, -9, 0] if place != "milvus.made" else said == [0, 0, 0]
    check(connect(), here)


@pytest.mark.long
def test_milvus_is_killed_and_loses_its_files(server, milvus, indexer, tmp_path):
    """It starts with nothing, and all is made of the catalog."""
    here = {"home": str(tmp_path)}
    assert indexer("make", here) == 0
    server.stop()
    for path in server.folder.rglob("stlib_*"):
        path.rename(tmp_path / path.name)
    server.start()
    check(milvus, here)
    assert indexer("change", here) == 0
    assert len(milvus.all_keys(milvus.names("stlib_")[0])) == 118
    check(milvus, here)
    assert indexer("drop", here) == 0


@pytest.mark.long
@pytest.mark.parametrize("place", ["milvus.removed", "milvus.written", "milvus.marked", "publish.after"])
def test_killed_on_one_of_two_hosts(milvus, indexer, tmp_path, postgres_url, place):
    """One catalog in PostgreSQL: the other host finds what is there, and goes on with it."""
    one, other = ({"home": str(tmp_path / name), "db": postgres_url} for name in ("one", "other"))
    assert indexer("make", one) == 0
    check(milvus, other)
    assert indexer("change", one, place) == -9
    check(milvus, other)
    assert indexer("change", other) == 0
    assert len(milvus.names("stlib_")) == 1
    check(milvus, one)
    check(milvus, other)
    assert indexer("drop", other) == 0
    assert milvus.names("stlib_") == []
