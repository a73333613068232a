"""A fork while other threads are busy: what they hold is neither used by the child nor waited for."""

from __future__ import annotations

import os
import re
import signal
import threading
import traceback
from pathlib import Path

import pytest

from indexing import Collection
from indexing.catalog import forked
from indexing.errors import StorageError
from indexing.models import held
from indexing.models import rerankers as module_of_rerankers
from indexing.models.rerankers import Rerankers
from indexing.storage import forks
from indexing.storage.files import FolderLock
from stlib.runtime import BUNDLED_RERANKER_NAME
from stlib.util.forks import ThreadLock, cached_property

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def note(name):
    return {"id": name, "text": f"text of {name}"}


def run_forked(child):
    """0 if `child` ran to its end in a forked process; one that hangs is killed by a signal."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(15)
            child()
            code = 0
        except BaseException:  # noqa: BLE001 -- nothing may leave the child
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# --- what other threads hold while this one forks ------------------------------------------------------


def while_held(hold, child):
    """Runs `child` in a forked process while another thread is inside `hold(inside, go_on)`."""
    inside, go_on = threading.Event(), threading.Event()
    holder = threading.Thread(target=hold, args=(inside, go_on))
    holder.start()
    assert inside.wait(20)

    try:
        assert run_forked(child) == 0
    finally:
        go_on.set()
        holder.join(15)


def slow(function, inside, go_on):
    def slowly(*arguments, **options):
        inside.set()
        assert go_on.wait(20)
        return function(*arguments, **options)

    return slowly


def test_a_fork_while_another_thread_loads_the_model(home, monkeypatch):
    with Collection.create("c", home=home) as made:
        made.add([note("before")])
    collection = Collection.open("c", home=home)
    load = held.load_trusted_encoder

    def load_in_thread(inside, go_on):
        monkeypatch.setattr(held, "load_trusted_encoder", slow(load, inside, go_on))
        collection.search("text")

    def search():
        held.load_trusted_encoder = load
        assert [r.id for r in collection.search("text", mode="semantic").results] == ["before"]

    while_held(load_in_thread, search)
    collection.close()


def test_a_fork_while_another_thread_loads_a_reranker(monkeypatch):
    rerankers = Rerankers()
    load = module_of_rerankers.load_reranker

    def load_in_thread(inside, go_on):
        monkeypatch.setattr(module_of_rerankers, "load_reranker", slow(load, inside, go_on))
        rerankers.of(BUNDLED_RERANKER_NAME)

    def load_too():
        module_of_rerankers.load_reranker = load
        assert rerankers.of(BUNDLED_RERANKER_NAME).scores("a dog", ["a dog barks"]).shape == (1,)

    while_held(load_in_thread, load_too)


def test_a_fork_while_another_thread_looks_up_a_filter(home):
    collection = Collection.create("c", home=home)
    collection.add([{"id": "a", "text": "text", "metadata": {"n": 1}}])
    locks = [collection._filters._lock, collection._views.columns._lock]

    def hold_all(inside, go_on):
        with locks[0], locks[1]:
            inside.set()
            go_on.wait(20)

    def search():
        assert [r.id for r in collection.search("text", filter="n = 1").results] == ["a"]

    while_held(hold_all, search)
    collection.close()


def test_a_fork_while_another_thread_computes_what_is_kept():
    class Model:
        @cached_property
        def fingerprint(self):
            return compute()

    model = Model()
    calls = []

    def compute():
        return "of the child"

    def compute_in_thread(inside, go_on):
        nonlocal compute
        fast, compute = compute, slow(lambda: "of the parent", inside, go_on)
        calls.append(fast)
        assert model.fingerprint == "of the parent"

    def compute_too():
        nonlocal compute
        compute = calls[0]
        assert model.fingerprint == "of the child"

    while_held(compute_in_thread, compute_too)
    assert model.fingerprint == "of the parent"


def test_the_thread_that_forks_goes_on_in_the_locks_it_is_in():
    lock, entered = ThreadLock(), threading.Event()

    def enter():
        with lock:
            entered.set()

    with lock:
        with lock:
            pid = os.fork()
            threading.Thread(target=enter, daemon=True).start()
            early = entered.wait(0.2)
        early = early or entered.wait(0.2)
    if pid == 0:
        os._exit(0 if not early and entered.wait(10) else 1)
    assert not early
    assert entered.wait(10)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_no_lock_of_threads_is_kept_by_hand():
    """Each would be taken for ever in a child that was forked at the wrong moment."""
    root = Path(__file__).parents[2]
    makes = re.compile(
        r"R?Lock\(\)|threading\.(Condition|Semaphore)\(|threading import .*(Condition|Semaphore)"
        r"|functools\.cached_property|functools import .*cached_prop"
    )
    renewed = {
        "stlib/util/forks.py",
        "stlib/backend/onnx_model.py",
        "indexing/session.py",
        "indexing/storage/forks.py",
        "indexing/catalog/forked.py",
    }
    found = {
        str(path.relative_to(root))
        for package in ("stlib", "indexing", "app")
        for path in (root / package).rglob("*.py")
        # Those of asyncio are for tasks of one thread.
        if makes.search(re.sub(r"ThreadLock\(\)|asyncio\.(Lock|Semaphore)\(", "", path.read_text("utf-8")))
    }
    assert found == renewed


# --- several databases ---------------------------------------------------------------------------------


def test_a_connection_that_comes_back_at_the_last_moment_is_not_used_by_the_child(tmp_path, monkeypatch):
    collection = Collection.create("c", home=tmp_path)
    collection.add([note("before")])
    used, give_back = threading.Event(), threading.Event()

    def read_slowly():
        with collection._session.looking():
            used.set()
            assert give_back.wait(20)

    thread = threading.Thread(target=read_slowly)
    thread.start()
    assert used.wait(20)
    before_fork = forked.pools.before_fork

    def just_before():
        before_fork()
        give_back.set()
        thread.join(20)

    monkeypatch.setattr(forked.pools, "before_fork", just_before)

    def be_refused():
        with pytest.raises(StorageError, match="was forked"):
            collection.add([note("child")])

    assert run_forked(be_refused) == 0
    collection.add([note("after")])
    assert {document.id for document in collection} == {"before", "after"}
    collection.close()


# --- who is told ---------------------------------------------------------------------------------------


def test_forks_while_other_threads_make_locks(tmp_path, caplog):
    ended = threading.Event()

    def make_locks():
        kept = []
        while not ended.is_set():
            kept.append(FolderLock(tmp_path))
            del kept[:-50]

    threads = [threading.Thread(target=make_locks) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        codes = [run_forked(lambda: None) for _ in range(30)]
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    assert codes == [0] * 30
    assert not [record for record in caplog.records if record.name.startswith("indexing")]


def test_one_that_fails_does_not_keep_others_from_being_told(caplog):
    told = []

    class Item:
        def __init__(self, fails):
            self.fails = fails

        def before_fork(self):
            told.append("before")
            if self.fails:
                raise ValueError("no")

        def after_fork(self, in_child):
            told.append("after")
            if self.fails:
                raise ValueError("no")

    items = [Item(True), Item(False), Item(True)]
    for item in items:
        forks.watch(item)
    assert run_forked(lambda: None) == 0
    del items, item
    assert told == ["before"] * 3 + ["after"] * 3
    assert len([record for record in caplog.records if record.name.startswith("indexing")]) == 4
