"""Erasing where it is hard: several generations, trials, renames, other processes, no room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import event, text

from indexing import ChunkSettings, Collection
from indexing.catalog.database import reading, writing
from indexing.catalog.denials import find_denials, read_denials
from indexing.catalog.erasing import begin_erasure, gather
from indexing.catalog.reads import chunk_keys
from indexing.errors import DiskFull, LockedError
from indexing.storage.removed import moment_of
from indexing.upkeep.copy import copy_collection
from tests.unit.erasing.conftest import MARKER, SECRET, bytes_below

ROOT = Path(__file__).resolve().parents[3]


def view_files(home):
    return [path for path in (home / "collections/notes/views").rglob("*") if path.is_file()]


def test_every_generation_and_a_trial_lose_it(notes, home, ids):
    second = notes.reindex(chunk=ChunkSettings(8, 0), promote=False).serving
    notes.search(MARKER)
    notes.start_trial(second.id)
    notes.search(MARKER, serving=second.id)
    moment = moment_of(home)
    receipt = notes.erase(["secret"])
    assert receipt.done and receipt.erased["passages"] > 2
    names = {path.parent.name.rpartition("-")[0] for path in view_files(home) if "vectors" in path.parts}
    assert names == {"1-faiss", "2-faiss"}
    assert all(path.stat().st_mtime_ns >= moment for path in view_files(home))
    assert MARKER.encode() not in bytes_below(home)
    for serving in (1, second.id):
        assert "secret" not in ids(notes.search(MARKER, 50, serving=serving))
    notes.promote(second.id, "as wanted")
    notes.rollback()
    assert notes.verify().clean and notes.check_erased().clean


def test_views_are_used_as_they_are_after_an_erasure_and_after_a_rebuild(notes):
    """Not read from the log again by each search, as if they were too old."""
    for change in (lambda: notes.erase(["d1"]), lambda: notes.erase(["nobody"]), notes.rebuild_views):
        change()
        live = notes._session.live()
        for view in notes._views.of(live):
            assert not view.is_behind(by_much=False)
        with reading(notes._session.database) as connection:
            vectors = notes._views.vectors(live)
            assert vectors._newest(connection, vectors._purged(connection))[1] is not None
            assert len(vectors.reader(connection).live_keys) == len(chunk_keys(connection, 1))


def test_former_names_are_forgotten_and_other_documents_keep_theirs(home, tmp_path):
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "first-name.txt").write_text(SECRET)
    (folder / "other.txt").write_text("Bees make honey all summer long.")
    with Collection.create("notes", home=home) as notes:
        notes.sync(folder)
        (folder / "first-name.txt").rename(folder / "second-name.txt")
        (folder / "other.txt").rename(folder / "first-name.txt")
        notes.sync()
        assert sorted(one.id for one in notes.documents()) == ["first-name.txt", "second-name.txt"]
        receipt = notes.erase(["second-name.txt"])
        assert receipt.done and receipt.erased["renames"] == 1 and receipt.erased["files"] == 1
        assert [rename[1:3] for rename in notes.renames_after(0)] == [("other.txt", "first-name.txt")]
        assert b"second-name" not in bytes_below(home) and MARKER.encode() not in bytes_below(home)
        report = notes.sync()
        assert report.left_out["erased"] == 1 and len(notes) == 1
        (folder / "second-name.txt").rename(folder / "third-name.txt")
        assert notes.sync().added.denied == 1
        with reading(notes._session.database) as connection:
            assert connection.execute(text("SELECT name FROM file")).scalars().all() == ["first-name.txt"]


SEARCHING = """
import sys
from indexing import Collection
c = Collection.open("notes", home=sys.argv[1])
print(len(c.search(sys.argv[2], 50)), flush=True)
for line in sys.stdin:
    print(" ".join(one.id for one in c.search(sys.argv[2], 50)), flush=True)
"""


@pytest.mark.skipif(
    not Path("/proc/self/maps").exists(), reason="the system does not tell who has a file open"
)
def test_a_process_that_searches_keeps_it_pending_until_its_next_search(notes, home):
    notes.refresh()
    with subprocess.Popen(
        [sys.executable, "-c", SEARCHING, str(home), MARKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout.readline().strip() == "41"
        receipt = notes.erase(["secret"])
        assert receipt.state == "pending" and MARKER.encode() not in bytes_below(home)
        assert receipt.pending == (
            f"removed files of indexes are open in process {child.pid}: the next search there, or its end,"
            " lets go of them",
        )
        assert not notes.check_erased().clean
        child.stdin.write("again\n")
        child.stdin.flush()
        assert "secret" not in child.stdout.readline().split()
        [finished] = notes.finish_erasures()
        assert finished.done and finished.ended_at and notes.check_erased().clean
        child.kill()


def test_who_writes_at_the_same_time_gets_an_error_and_changes_nothing(notes, home):
    with Collection.open("notes", home=home) as other, notes._session.writing_documents():
        with pytest.raises(LockedError):
            other.erase(["secret"])
        with pytest.raises(LockedError):
            other.allow_again(["secret"])
        assert other.erasures() == []
    assert "secret" in notes


def test_indexes_that_another_process_writes_are_pending(notes, home):
    with Collection.open("notes", home=home) as other, other._views._new_lock():
        receipt = notes.erase(["secret"])
        assert receipt.state == "pending" and "the indexes could not be made anew" in receipt.pending[0]
        assert "secret" not in notes
    [finished] = notes.finish_erasures()
    assert finished.done and MARKER.encode() not in bytes_below(home)
    assert notes.finish_erasures() == []


def test_without_room_for_a_copy_the_bytes_are_overwritten_and_it_is_pending(notes, home, monkeypatch):
    import sqlite3

    def refuse(engine):
        raise sqlite3.OperationalError("database or disk is full")

    def no_room(self):
        raise DiskFull("no room")

    monkeypatch.setattr("indexing.catalog.sqlite.vacuum", refuse)
    monkeypatch.setattr("indexing.views.lexical.LexicalView.renew", no_room)
    receipt = notes.erase(["secret"])
    assert receipt.state == "pending" and "disk is full" in receipt.pending[0]
    assert MARKER.encode() not in bytes_below(home)
    monkeypatch.undo()
    [finished] = notes.finish_erasures()
    assert finished.done and notes.search("cellars").results and notes.verify().clean


def test_a_copy_that_goes_on_with_an_erasure_leaves_files_of_others(home, tmp_path):
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    letters, empty = tmp_path / "letters", tmp_path / "empty"
    for folder, files in (
        (letters, {"a.txt": SECRET, "b.txt": "Bees."}),
        (empty, {"x.txt": "", "y.txt": ""}),
    ):
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_text(content)
    with Collection.create("others", db=shared, home=home) as others:
        others.sync(empty)
    with Collection.create("notes", home=home) as notes:
        notes.sync(letters)
        assert notes.erase(["a.txt"]).done
        notes.allow_again(["a.txt"])
        notes.sync()
        with notes._session.writing_documents(), writing(notes._session.database) as connection:
            begin_erasure(connection, notes._session.id, gather(connection, notes._session.id, ["a.txt"]), "")
    copy_collection("notes", home=home, to_home=home, to_db=shared)
    with Collection.open("notes", db=shared, home=home) as copy:
        [_, finished] = [*copy.erasures()[:1], *copy.finish_erasures()]
        assert finished.done and finished.erased["files"] == 1
        with reading(copy._session.database) as connection:
            left = connection.execute(text("SELECT name FROM file ORDER BY name")).scalars().all()
        assert left == ["b.txt", "x.txt", "y.txt"]


def test_of_many_denials_only_those_of_a_batch_are_read(notes):
    notes.erase(["secret", "d1", "d2"])
    texts = {"secret": "Another text.", "copy": SECRET, "d5": None, "new": "Bread."}
    with reading(notes._session.database) as connection:
        everything = read_denials(connection, notes._session.id)
        found = find_denials(connection, notes._session.id, texts)
        lookup = "SELECT * FROM denial WHERE collection_id = 1 AND digest IN (x'00', x'01')"
        plan = connection.execute(text(f"EXPLAIN QUERY PLAN {lookup}")).all()
    assert len(everything.of_ids) == 3
    assert [found.by_id(one) for one in texts] == [everything.by_id(one) for one in texts]
    assert found.by_text(SECRET) == everything.by_text(SECRET) == 1
    assert (len(found.of_ids), len(found.of_texts)) == (1, 1)
    assert "collection_id=? AND digest=?" in plan[0][-1]


def test_the_same_texts_of_many_are_counted_in_one_pass(notes):
    """Held as hashes, and before the transaction that writes."""
    notes.add([{"id": f"same {n}", "text": SECRET} for n in range(3)])
    said = []

    def note(connection, cursor, statement, *rest):
        said.append(statement)

    engine = notes._session.database
    event.listen(engine, "before_cursor_execute", note)
    receipt = notes.erase(["secret", "same 0", *(f"nobody {n}" for n in range(2_000))])
    event.remove(engine, "before_cursor_execute", note)
    assert (receipt.found, receipt.same_texts) == (2, 2)
    begun = next(at for at, one in enumerate(said) if one.startswith("INSERT INTO erasure"))
    passes = [one for one in said[:begun] if "document.text" in one and " IN " not in one]
    assert len(passes) == 1 and not any("document.text IN" in one for one in said)


def test_nothing_is_begun_where_the_request_has_no_room(notes, monkeypatch):
    def refuse(*arguments, **named):
        raise DiskFull("no room")

    monkeypatch.setattr("indexing.upkeep.erase.begin_erasure", refuse)
    with pytest.raises(DiskFull):
        notes.erase(["secret"])
    monkeypatch.undo()
    assert "secret" in notes and notes.erasures() == []
    assert notes.add([{"id": "copy", "text": SECRET}]).added == 1
