"""Files that visitors bring: kept whole or not at all, within limits, whatever they are."""

from __future__ import annotations

import errno
import io
import os
import stat
import threading
from pathlib import Path

import pytest

from app.facade.caller import Caller, NotAllowed
from app.facade.collections import add_files, create_collection, delete_collection, forget_uploads
from app.facade.feedback import record
from app.facade.jobs import cancel_job, list_jobs
from app.feedback.erasing import Wanted, select_feedback
from app.feedback.place import feedback_place
from app.jobs.worker import run_job
from app.settings import UploadLimits
from app.uploads.store import Incoming, Uploads
from indexing import Collection
from indexing.errors import BadInput, UnknownCollection

pytestmark = pytest.mark.skipif(os.name != "posix", reason="looks at permissions and links")


@pytest.fixture
def kept(location):
    """The uploaded files of a collection: name -> bytes."""
    return lambda name="notes": {path.name: path.read_bytes() for path, _ in Uploads(location).files(name)}


@pytest.fixture
def texts(location):
    """Runs what is queued; then the documents of the collection: id -> text."""

    def texts():
        for job in list_jobs(location):
            if job.state == "queued":
                assert run_job(location, job.id).state == "done"
        with Collection.open("notes", **location.arguments()) as collection:
            return {document.id: document.text for document in collection}

    return texts


def limit(monkeypatch, **limits):
    small = {"file_bytes": 1000, "total_bytes": 2000, "files": 10, **limits}
    monkeypatch.setattr("app.facade.collections.upload_limits", lambda: UploadLimits(**small))


def test_files_are_kept_privately_and_read_by_a_job(caller, location, files, kept, texts):
    received, job = add_files(caller, location, "notes", files(("../a.txt", b"apples"), ("b.md", b"# Bread")))
    assert [(one.given, one.name, one.bytes, one.fresh) for one in received.stored] == [
        ("../a.txt", "a.txt", 6, True),
        ("b.md", "b.md", 7, True),
    ]
    assert received.refused == []
    assert (job.kind, job.collection, job.state, job.who) == ("index", "notes", "queued", "ann")
    assert kept() == {"a.txt": b"apples", "b.md": b"# Bread"}
    folder = Uploads(location).of("notes")
    assert folder == location.home / "uploads" / "notes"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "a.txt").stat().st_mode) == 0o600
    assert texts() == {"a.txt": "apples", "b.md": "Bread"}


def test_the_same_file_again_is_nothing_new(caller, location, files, kept, texts):
    add_files(caller, location, "notes", files(("a.txt", b"apples")))
    before = texts()
    received, job = add_files(caller, location, "notes", files(("A.txt", b"apples")))
    assert ([one.fresh for one in received.stored], job) == ([False], None)
    assert (kept(), texts()) == ({"a.txt": b"apples"}, before)


def test_another_file_of_the_same_name_is_another_document_unless_it_replaces(
    caller, location, files, kept, texts
):
    add_files(caller, location, "notes", files(("a.txt", b"apples")))
    received, _ = add_files(caller, location, "notes", files(("a.txt", b"pears"), ("A.TXT", b"plums")))
    assert [one.name for one in received.stored] == ["a (2).txt", "A (3).TXT"]
    assert texts() == {"a.txt": "apples", "a (2).txt": "pears", "A (3).TXT": "plums"}
    add_files(caller, location, "notes", files(("a.txt", b"cherries")), replace=True)
    assert texts() == {"a.txt": "cherries", "a (2).txt": "pears", "A (3).TXT": "plums"}


def test_two_people_upload_one_name_at_once(caller, location, files, kept):
    people = [Caller(f"p{i}", "page") for i in range(6)]
    ready = threading.Barrier(len(people))

    def upload(person):
        ready.wait()
        add_files(person, location, "notes", files(("same.txt", person.name.encode())))

    threads = [threading.Thread(target=upload, args=(person,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kept().values()) == [b"p0", b"p1", b"p2", b"p3", b"p4", b"p5"]
    assert sorted(kept()) == [
        "same (2).txt",
        "same (3).txt",
        "same (4).txt",
        "same (5).txt",
        "same (6).txt",
        "same.txt",
    ]
    assert sorted(job.who for job in list_jobs(location)) == [person.name for person in people]


def test_what_cannot_be_kept_is_refused_and_the_rest_is_read(
    caller, location, files, kept, texts, monkeypatch
):
    limit(monkeypatch)
    brought = files(("empty.txt", b""), ("run.exe", b"MZ"), ("big.txt", b"x" * 1001), ("ok.txt", b"fine"))
    received, _ = add_files(caller, location, "notes", brought)
    assert [name for name, _ in received.refused] == ["empty.txt", "run.exe", "big.txt"]
    reasons = [reason for _, reason in received.refused]
    assert reasons[0] == "it is empty"
    assert reasons[1].startswith("this format is not supported; supported: .")
    assert reasons[2] == "it is larger than 1000 bytes, the limit of one file"
    assert kept() == {"ok.txt": b"fine"}
    assert texts() == {"ok.txt": "fine"}


def test_binary_and_broken_files_end_in_the_job(caller, location, files, texts):
    brought = files(("a.txt", b"\x7fELF" + bytes(500)), ("b.parquet", b"PAR1 no"), ("c.txt", b"fine"))
    add_files(caller, location, "notes", brought)
    assert texts() == {"c.txt": "fine"}
    skips = list_jobs(location)[0].result["skips"]
    assert [Path(skip["source"]).name for skip in skips] == ["a.txt", "b.parquet"]


def test_a_full_quota_says_what_to_do(caller, location, files, kept, monkeypatch):
    limit(monkeypatch)
    received, _ = add_files(
        caller, location, "notes", files(*((f"{i}.txt", bytes([65 + i]) * 900) for i in range(3)))
    )
    assert len(received.stored) == 2
    [(name, reason)] = received.refused
    assert name == "2.txt"
    assert reason == (
        "uploaded files may take 2.0 KiB here, and this one has no room beside the others:"
        " remove uploaded files of a collection that has read them"
    )
    limit(monkeypatch, files=2)
    [(_, reason)] = add_files(caller, location, "notes", files(("c.txt", b"c")))[0].refused
    assert reason.startswith("2 uploaded files may lie here, and they do: remove those of a collection")
    assert sorted(kept()) == ["0.txt", "1.txt"]


def test_a_full_disk_leaves_nothing_half(caller, location, files, kept, monkeypatch):
    add_files(caller, location, "notes", files(("a.txt", b"apples")))

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("app.uploads.store.os.fsync", full)
        patch.setattr("app.uploads.store.fsync_folder", lambda folder: None)
        received, job = add_files(caller, location, "notes", files(("b.txt", b"bread")))
    assert (received.stored, job) == ([], None)
    assert "no space left for" in received.refused[0][1]
    assert kept() == {"a.txt": b"apples"}
    assert [path.name for path in Uploads(location).of("notes").iterdir()] == ["a.txt"]


class Torn(io.RawIOBase):
    """A browser that goes away in the middle."""

    def read(self, size=-1):
        raise ConnectionResetError("gone")


def test_an_upload_that_breaks_off_leaves_nothing(caller, location, kept):
    received, _ = add_files(caller, location, "notes", [Incoming("a.txt", Torn())])
    assert "could not be written" in received.refused[0][1]
    assert list(Uploads(location).of("notes").iterdir()) == []


def test_links_of_a_copied_home_lead_nowhere(caller, location, files, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    folder = location.home / "uploads"
    folder.symlink_to(elsewhere)
    add_files(caller, location, "notes", files(("a.txt", b"apples")))
    assert not folder.is_symlink()
    (folder / "notes" / "mine.txt").symlink_to(elsewhere / "mine.txt")
    received, _ = add_files(caller, location, "notes", files(("mine.txt", b"yours")), replace=True)
    assert received.stored[0].path.read_text() == "yours"
    assert (elsewhere / "mine.txt").read_text() == "mine"
    assert [path.name for path in elsewhere.iterdir()] == ["mine.txt"]


def test_uploads_go_with_their_collection(caller, location, files, kept, texts):
    create_collection(caller, location, "other")
    add_files(caller, location, "other", files(("o.txt", b"other")))
    add_files(caller, location, "notes", files(("a.txt", b"apples")))
    with pytest.raises(BadInput, match=r"job 2 \(index\) of collection 'notes' is queued: cancel it"):
        delete_collection(caller, location, "notes", "notes")
    with pytest.raises(BadInput, match=r"job 2 \(index\) .* is queued"):
        forget_uploads(caller, location, "notes")
    assert texts() == {"a.txt": "apples"}
    assert forget_uploads(caller, location, "notes") == (1, 6)
    assert (kept(), texts()) == ({}, {"a.txt": "apples"})
    add_files(caller, location, "notes", files(("b.txt", b"bread")))
    texts()
    said = delete_collection(caller, location, "notes", " notes ")
    assert said == "Collection notes is deleted, with 2 documents and 1 uploaded file (5 bytes)."
    assert kept() == {}
    assert kept("other") == {"o.txt": b"other"}
    assert Collection.list(**location.arguments()) == ["other"]


def test_what_a_killed_deletion_left_is_removed_with_the_next_upload(caller, location, files, kept):
    add_files(caller, location, "notes", files(("a.txt", b"apples")))
    cancel_job(location, 1)
    with Collection.open("notes", **location.arguments()) as collection:
        collection.drop()
    create_collection(caller, location, "other")
    add_files(caller, location, "other", files(("o.txt", b"other")))
    assert (kept("notes"), kept("other")) == ({}, {"o.txt": b"other"})


@pytest.mark.parametrize("too", [False, True])
def test_what_people_said_goes_when_it_is_meant(caller, location, too):
    with Collection.open("notes", **location.arguments()) as collection:
        collection.add([{"id": "a", "text": "apples"}])
        record(caller, location, collection, "fruit", "a", "up")
        uuid = collection.uuid
    said = delete_collection(caller, location, "notes", "notes", feedback=too)
    left = "" if too else " But what was said of it stays."
    assert said == f"Collection notes is deleted, with 1 document.{left}"
    kept = select_feedback(feedback_place(location), uuid, Wanted())[2]
    assert [saying.document for saying in kept] == ([] if too else ["a"])


def test_another_name_deletes_nothing(caller, location):
    with pytest.raises(BadInput, match="'note' was typed and the collection is 'notes': nothing was deleted"):
        delete_collection(caller, location, "notes", "note")
    assert Collection.list(**location.arguments()) == ["notes"]


def test_unknown_collections_and_wrong_names_keep_nothing(caller, location, files):
    for name in ("nope", "../notes", "a/b", ""):
        with pytest.raises((UnknownCollection, BadInput)):
            add_files(caller, location, name, files(("a.txt", b"a")))
    assert Uploads(location).files() == []
    assert not (location.home / "uploads").exists()


def test_only_those_who_may_manage_change_anything(location, files):
    visitor = Caller("eve", "page", rights=frozenset({"search", "judge", "improve"}))
    for attempt in (
        lambda: create_collection(visitor, location, "x"),
        lambda: add_files(visitor, location, "notes", files(("a.txt", b"a"))),
        lambda: forget_uploads(visitor, location, "notes"),
        lambda: delete_collection(visitor, location, "notes", "notes"),
    ):
        with pytest.raises(NotAllowed, match="this needs the right to manage"):
            attempt()
    assert Collection.list(**location.arguments()) == ["notes"]
