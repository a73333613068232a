"""What an app keeps of an erased document beside the collection is gone too."""

from __future__ import annotations

import io
import json
import sqlite3
import time
from contextlib import closing

import pytest

from app.facade.caller import Caller, NotAllowed
from app.facade.collections import add_files
from app.facade.documents import Upload, add_documents
from app.facade.erasure import (
    allow_again,
    check_erased,
    erase_documents,
    finish_erasures,
    list_erasures,
)
from app.facade.feedback import record, record_click
from app.facade.search import SearchRequest, search
from app.feedback.log import feedback_log
from app.feedback.model import Event
from app.feedback.place import feedback_place
from app.feedback.questions import question_hash
from app.feedback.table import (
    add_rows,
    close_databases,
    read_impressions,
    read_sayings,
    write_feedback,
)
from app.jobs.place import jobs_place
from app.jobs.worker import run_job
from app.report.history import list_reports, reports_folder
from app.report.judged_sets import keep_judged_set, sets_folder
from app.settings import Location
from app.tuning.runs import add_run, read_runs
from app.uploads.store import Incoming, Uploads
from indexing import Collection
from indexing.search.settings import Memory, SearchSettings
from tests.unit.erasing.conftest import MARKER, SECRET, bytes_below, fill

ANN = Caller("ann", "page", "visit-1")
QUESTION = "who opened the cellar?"


@pytest.fixture
def location(home, monkeypatch):
    monkeypatch.setenv("STLIB_JOBS", "0")  # jobs are run by the tests themselves
    location = Location(home)
    yield location
    feedback_log(feedback_place(location)).flush()
    close_databases()


@pytest.fixture
def notes(location):
    with Collection.create("notes", **location.arguments()) as collection:
        fill(collection)
        yield collection


def upload(location, *files):
    """Brings files as a page does, and runs the job that reads them."""
    _, job = add_files(
        ANN, location, "notes", [Incoming(name, io.BytesIO(text.encode())) for name, text in files]
    )
    run_with_workers(location, job)
    return job


def run_with_workers(location, job):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STLIB_JOBS", "1")
        done = run_job(location, job.id, alone=True)
    assert done.state == "done", done.error


def use(notes, location):
    """Searches that show the secret, a click on it, and words about it."""
    found = search(notes, SearchRequest(q=QUESTION), caller=ANN, location=location)
    assert "secret" in [one.id for one in found]
    record_click(ANN, location, notes, found.id, "secret")
    record(ANN, location, notes, QUESTION, "secret", "up", impression=found.id)
    record(ANN, location, notes, QUESTION, "d1", "down", impression=found.id)
    record(ANN, location, notes, "cellars?", "", "none", shown=["secret", "d1"])
    feedback_log(feedback_place(location)).flush()


def names_in(location, pattern, word):
    return any(word.encode() in path.read_bytes() for path in location.home.glob(pattern))


def test_searches_and_judgments_lose_it_and_keep_the_rest(notes, location):
    use(notes, location)
    assert names_in(location, "feedback.sqlite*", '"secret"')
    receipt = erase_documents(ANN, location, "notes", ["secret"])
    assert receipt.done and receipt.who == "ann"
    told = {name: receipt.erased[name] for name in ("documents", "answers", "clicks", "judgments")}
    assert told == {"documents": 1, "answers": 2, "clicks": 1, "judgments": 1}
    assert not names_in(location, "feedback.sqlite*", "secret")
    place = feedback_place(location)
    [impression] = read_impressions(place)
    assert impression.query == QUESTION and "d1" in {one.document for one in impression.shown}
    assert [(one.document, one.shown) for one in read_sayings(place)] == [("d1", ()), ("", ("d1",))]
    assert check_erased(ANN, location, "notes").clean


def test_uploaded_files_job_logs_and_results_are_gone(notes, location):
    name = f"{MARKER}-letter.txt"
    job = upload(
        location, (name, f"A letter about {MARKER} and the gardener's key to the cellar."), ("b.txt", "B")
    )
    place, stored = jobs_place(location), Uploads(location).of("notes")
    place.log(job.id).write_text(f"skipped a line: {MARKER}\n")
    assert names_in(location, "jobs.sqlite*", name) and (stored / name).is_file()
    receipt = erase_documents(ANN, location, "notes", ["secret", name])
    assert receipt.done, receipt.pending
    assert (receipt.erased["uploads"], receipt.erased["jobs"]) == (1, 1)
    assert sorted(path.name for path in stored.iterdir()) == ["b.txt"]
    assert MARKER.encode() not in bytes_below(location.home)
    upload(location, (name, f"A letter about {MARKER} and the gardener's key to the cellar."))
    assert name not in notes
    with closing(sqlite3.connect(location.home / "collections/notes/catalog.sqlite")) as connection:
        assert connection.execute("SELECT name FROM file").fetchall() == [("b.txt",)]


def test_an_uploaded_table_goes_whole_and_its_other_rows_stay(notes, location):
    upload(location, ("people.csv", f"id,text\np1,{SECRET} Indeed.\np2,Another person altogether.\n"))
    [row] = _ids(notes, "Another")
    receipt = erase_documents(ANN, location, "notes", ["secret", *(i for i in _ids(notes, SECRET))])
    assert receipt.done and receipt.erased["uploads"] == 1
    assert list(Uploads(location).of("notes").iterdir()) == []
    assert row in notes and MARKER.encode() not in bytes_below(location.home)
    assert notes.sync(prune=True, force=True).pruned == 0 and row in notes


def _ids(notes, beginning):
    return [one.id for one in notes.documents() if one.text.startswith(beginning)]


def test_a_home_from_elsewhere_cannot_have_files_of_somebody_removed(notes, location, tmp_path):
    """Its folder of uploads is a link to a folder that its catalog says documents were read from."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "diary.txt").write_text("A diary that nobody but its owner reads.")
    notes.sync(mine)
    Uploads(location).folder.mkdir()
    Uploads(location).of("notes").symlink_to(mine)
    receipt = erase_documents(ANN, location, "notes", ["diary.txt"])
    assert receipt.done and receipt.erased["documents"] == 1 and "uploads" not in receipt.erased
    assert (mine / "diary.txt").is_file()


def test_reports_judged_sets_and_records_of_tuning(notes, location):
    folder = reports_folder(location, notes.uuid)
    folder.mkdir(parents=True)
    for number, documents in enumerate((["secret", "d1"], ["d1"]), 1):
        answers = [{"document": one, "title": "", "snippet": "…"} for one in documents]
        (folder / f"{number:06}.json").write_text(json.dumps({"source": "beir", "answers": answers}))
    queries = io.BytesIO(b'{"_id": "q", "text": "cellar?"}\n')
    judged = io.BytesIO(b"query-id\tcorpus-id\tscore\nq\tsecret\t1\nq\td1\t1\n")
    keep_judged_set(location, notes.uuid, "mine", [("queries.jsonl", queries), ("test.tsv", judged)])
    gate = {"to_judge": [["q", QUESTION, "secret"], ["q", QUESTION, "d1"]], "title": f"Of {MARKER}"}
    add_run(
        location, notes.uuid, "memory", candidate=None, promoted=False, seconds=1.0, gate=gate, details={}
    )
    receipt = erase_documents(ANN, location, "notes", ["secret"])
    assert receipt.done and (receipt.erased["reports"], receipt.erased["judged lines"]) == (1, 1)
    assert [path.name for path in folder.glob("*.json")] == ["000002.json"]
    [tsv] = sets_folder(location, notes.uuid).rglob("*.tsv")
    assert tsv.read_bytes() == b"query-id\tcorpus-id\tscore\nq\td1\t1\n"
    [run] = read_runs(location, notes.uuid)
    assert run.gate["to_judge"] == [["q", QUESTION, "(erased)"], ["q", QUESTION, "d1"]]
    assert MARKER.encode() not in bytes_below(location.home) and list_reports(location, notes.uuid) == []


def test_memories_forget_it_and_what_learned_from_it_is_told(notes, location):
    vectors = notes.encoder.encode_query([QUESTION, "gardens?"])
    vectors = vectors / (vectors**2).sum(axis=1, keepdims=True) ** 0.5
    answers = ({"secret": 1.0}, {"d1": 1.0, "secret": 0.5})
    settings = SearchSettings(weights={"memory": 8.0}, memory=Memory(vectors, answers, 0.5, 5))
    made = notes.create_serving(settings, note="memory of 2 judged questions").id
    notes.promote(made, "to see what it remembers")
    record(ANN, location, notes, QUESTION, "secret", "up")
    add_run(
        location,
        notes.uuid,
        "memory",
        candidate=made,
        promoted=True,
        seconds=1.0,
        questions=[question_hash(QUESTION)],
    )
    assert notes.search(QUESTION)[0].id == "secret"
    with Collection.open("notes", **location.arguments()) as other:
        other.search(QUESTION)
        receipt = erase_documents(ANN, location, "notes", ["secret"])
        assert receipt.erased["memories"] == 1
        assert receipt.seen_by == (
            f"serving {made} (memory of 2 judged questions): it was tuned with judgments of them",
        )
        for collection in (notes, other):
            assert "secret" not in [one.id for one in collection.search(QUESTION, 50)]
            with collection.probe() as probe:
                assert [dict(one) for one in probe.settings.memory.answers] == [{"d1": 1.0}]
    assert notes.verify().clean and check_erased(ANN, location, "notes").clean
    assert b"secret" not in bytes_below(location.home)


def test_a_click_that_was_written_later_is_found_and_erased(notes, location):
    use(notes, location)
    assert erase_documents(ANN, location, "notes", ["secret"]).done
    late = Event(0, notes.uuid, "x", "secret", "click", time.time(), "ann", "")
    with write_feedback(feedback_place(location)) as connection:
        add_rows(connection, [late])
    report = check_erased(ANN, location, "notes")
    assert report.clean and report.repaired == ["1 searches and judgments that came later"]
    assert check_erased(ANN, location, "notes").repaired == []
    assert not names_in(location, "feedback.sqlite*", "secret")


def test_who_may_not_manage_may_not_erase(notes, location):
    guest = Caller("guest", "api", "", frozenset({"search", "judge", "improve", "write"}))
    elsewhere = Caller("key", "api", "", collections=frozenset({"other"}))
    for caller in (guest, elsewhere):
        for call in (
            lambda caller: erase_documents(caller, location, "notes", ["secret"]),
            lambda caller: finish_erasures(caller, location, "notes"),
            lambda caller: list_erasures(caller, location, "notes"),
            lambda caller: check_erased(caller, location, "notes"),
            lambda caller: allow_again(caller, location, "notes", ["secret"]),
        ):
            with pytest.raises(NotAllowed):
                call(caller)
    assert "secret" in notes


def test_who_brings_it_again_is_told_which_line_stayed_out(notes, location):
    erase_documents(ANN, location, "notes", ["secret"])
    lines = [
        b'{"id": "new", "text": "Bread rises overnight."}',
        b"no json",
        b'{"id": "secret", "text": "Another text."}',
        json.dumps({"id": "copy", "text": SECRET}).encode(),
    ]
    upload = Upload(ANN, notes)
    upload.add_lines([b""])
    upload.add_lines(lines)
    report = upload.finish()
    assert [(one.line, one.id) for one in report.failures] == [(3, None), (4, "secret"), (5, "copy")]
    assert "erased" in report.failures[1].reason and MARKER not in json.dumps(report.to_dict())
    assert (report.stored_lines, report.added, report.failed) == (5, 1, 3)
    told = add_documents(ANN, notes, [{"id": "n2", "text": "x"}, {"id": "secret", "text": "x"}])
    assert [(one.line, one.id) for one in told.failures] == [(2, "secret")] and told.failed == 1
