"""What an `add` or a `delete` returned for is what the next search of that process finds, in every mode, also
while somebody else holds the lock of the views.
"""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from indexing import Collection
from indexing.storage.files import FolderLock
from indexing.views import lexical

MODES = ("keyword", "hybrid", "semantic")
HOLD = """
import sys
from indexing.storage.files import FolderLock
with FolderLock(sys.argv[1], "views.lock"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["thread", "process"])
def held(request, animals, home):
    """The lock of the views, in the hands of another thread or process."""
    locks = home / "collections/animals/locks"
    if request.param == "process":
        command = [sys.executable, "-c", HOLD, str(locks)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout.readline() == "held\n"
            yield
            other.communicate()
        return
    taken, done = threading.Event(), threading.Event()

    def hold():
        with FolderLock(locks, "views.lock"):
            taken.set()
            done.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(30)
    yield
    done.set()
    thread.join(30)


def test_own_writes_are_found_at_once(animals, held, ids):
    animals.search("honey")
    animals.add([{"id": "owl", "title": "Owl", "text": "Owls hunt at night."}])
    for mode in MODES:
        found = animals.search("owls hunt at night", mode=mode)
        assert (ids(found)[0], found.keyword_lag) == ("owl", 0)
    animals.add([{"id": "owl", "text": "Quokkas smile."}, {"id": "dog", "text": "Wolves howl."}])
    for mode in MODES:
        assert ids(animals.search("quokkas smile", mode=mode))[0] == "owl"
        assert ids(animals.search("wolves howl", mode=mode))[0] == "dog"
    assert ids(animals.search("hunt night bark strangers", mode="keyword")) == []
    assert ids(animals.search("hunt", mode="keyword", filter="legs = null")) == []
    animals.delete(["owl", "bee"])
    assert ids(animals.search("quokkas honey", mode="keyword")) == []
    for mode in MODES:
        assert {"owl", "bee"}.isdisjoint(ids(animals.search("quokkas honey", mode=mode)))


def test_many_own_writes_are_found_too(animals, held, ids, monkeypatch):
    """More than are read of what another process wrote."""
    monkeypatch.setattr(lexical, "MOST_FOREIGN", 8)
    monkeypatch.setattr(lexical, "READ_DOCUMENTS", 3)
    animals.add({"id": f"n{i}", "text": f"note number {i}"} for i in range(40))
    found = animals.search("note 39", 1, mode="keyword")
    assert (ids(found), found.keyword_lag) == (["n39"], 0)


def test_of_what_others_write_a_part_is_read_and_the_lag_is_said(animals, home, held, ids, monkeypatch):
    monkeypatch.setattr(lexical, "MOST_FOREIGN", 8)
    monkeypatch.setattr(lexical, "READ_DOCUMENTS", 3)
    animals.search("honey", mode="keyword")
    with Collection.open("animals", home=home) as other:
        other.add({"id": f"n{i}", "text": f"note number {i}"} for i in range(40))
    found = animals.search("note 2", 1, mode="keyword")
    assert (ids(found), 0 < found.keyword_lag < 40) == (["n2"], True)


def test_a_score_stays_when_the_document_moves_into_a_snapshot(animals, ids):
    animals.add({"id": f"n{i}", "text": f"note number {i} of a long series"} for i in range(700))
    assert animals.refresh()
    animals.add([{"id": "quokka", "title": "Quokka", "text": "A quokka smiles in a note."}])
    before = animals.search("quokka note", 3, mode="keyword").results
    assert animals.refresh()
    after = animals.search("quokka note", 3, mode="keyword").results
    assert [r.id for r in before] == [r.id for r in after]
    assert [r.score for r in before] == pytest.approx([r.score for r in after], rel=0.01)
    assert ids(animals.search("quokka", mode="keyword")) == ["quokka"]


def test_a_new_word_counts_in_hybrid_mode_too(animals):
    animals.add({"id": f"n{i}", "text": f"note number {i} of a long series"} for i in range(100))
    assert animals.refresh()
    animals.add([{"id": "quokka", "text": "zzyzx"}])
    best = animals.search("zzyzx", 1).results[0]
    assert (best.id, best.parts["keyword_share"] > 5) == ("quokka", True)


def test_one_document_more_publishes_nothing(animals, home):
    animals.add({"id": f"n{i}", "text": f"note number {i}"} for i in range(200))
    animals.search("honey", filter="legs = 6")
    views = home / "collections/animals/views"
    before = sorted(path.name for path in views.glob("*/*"))
    assert len(before) == 3
    animals.add([{"id": "owl", "text": "Owls hunt at night.", "metadata": {"legs": 2}}])
    assert animals.search("owls hunt", filter="legs = 2").results[0].id == "owl"
    animals.delete(["bee"])
    assert animals.search("honey bee", mode="keyword", filter="legs = 6").results == []
    assert sorted(path.name for path in views.glob("*/*")) == before
