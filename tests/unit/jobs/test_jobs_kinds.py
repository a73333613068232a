"""A worker of each kind is killed in the middle: *interrupted*, resumed, and the same result as without."""

from __future__ import annotations

import json
import shutil
import signal

import pytest

import app.jobs.queue
from app.evaluation_job import EvaluationChoices
from app.facade.caller import local_caller
from app.facade.feedback import import_feedback
from app.facade.jobs import find_job, list_jobs, resume_job, start_job
from app.facade.reindex import ReindexChoices, look_ahead
from app.indexing_job import IndexChoices, SyncChoices
from app.jobs.kinds import KINDS, evaluate, index, reindex, report, sync, tune, verify
from app.jobs.place import jobs_place
from app.jobs.queue import spawn
from app.jobs.worker import run_job
from app.report.systems import ReportChoices
from app.settings import Location
from indexing import Collection

pytestmark = pytest.mark.faults

DOCUMENTS = [{"id": f"d{i}", "text": f"note {i} about {'bread' if i % 3 else 'iron'}"} for i in range(1100)]

# What differs between two runs of the same work.
_TIMES = {"seconds", "documents_per_second", "created_at", "at", "disk_bytes", "memory_bytes", "keyword_lag"}


def of_index(location, folder):
    return index.describe("notes", [folder / "corpus.jsonl"], IndexChoices())


def of_sync(location, folder):
    """A source of half the documents, which has all of them by now."""
    source = folder / location.home.name
    source.mkdir()
    lines = [json.dumps(one) + "\n" for one in DOCUMENTS]
    (source / "notes.jsonl").write_text("".join(lines[:550]))
    with Collection.open("notes", home=location.home) as collection:
        collection.sync(source)
    (source / "notes.jsonl").write_text("".join(lines))
    return sync.describe("notes", SyncChoices())


def of_reindex(location, folder):
    choices = ReindexChoices(precision="float32", max_tokens=32)
    return reindex.describe("notes", choices, look_ahead(location, "notes", choices))


def of_evaluate(location, folder):
    return evaluate.describe("notes", folder, EvaluationChoices())


def of_verify(location, folder):
    return verify.describe("notes")


def of_tune(location, folder):
    with (folder / "judged.csv").open("w") as file:
        file.write("query,document,grade\n")
        for i in range(24):
            file.write(f"note {i} about iron {'ore' * (i % 3)},d{i // 3 * 3},1\n")
    import_feedback(local_caller(), location, "notes", folder / "judged.csv")
    return tune.describe(local_caller(), "notes", "auto", "if-better")


def of_report(location, folder):
    return report.describe(location, "notes", str(folder), "test", ReportChoices(modes=("hybrid", "keyword")))


# For each kind: the arguments, and the steps at which its worker dies. A new kind needs a line here.
CASES = {
    "index": (of_index, ["job.after-progress"]),
    "sync": (of_sync, ["job.after-progress"]),
    "reindex": (of_reindex, ["job.after-progress"]),
    "evaluate": (of_evaluate, ["job.after-progress"]),
    "tune": (of_tune, ["job.after-progress", "job.before-result"]),
    "report": (of_report, ["job.after-progress", "job.before-result"]),
    "verify": (of_verify, ["job.before-progress", "job.before-result"]),
}


def test_every_kind_is_killed():
    assert sorted(CASES) == sorted(KINDS)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A home with a collection of half the documents, and a BEIR folder of them all."""
    folder = tmp_path_factory.mktemp("kinds")
    (folder / "corpus.jsonl").write_text("".join(json.dumps(one) + "\n" for one in DOCUMENTS))
    queries = [{"_id": "q1", "text": "iron"}, {"_id": "q2", "text": "bread 7"}]
    (folder / "queries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in queries))
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td3\t1\nq2\td7\t1\n")
    with Collection.create("notes", home=folder / "home") as collection:
        collection.add(DOCUMENTS[:550])
    return folder


@pytest.mark.parametrize(("kind", "step"), [(kind, step) for kind in CASES for step in CASES[kind][1]])
def test_killed_and_resumed_it_ends_as_it_would_have(prepared, tmp_path, monkeypatch, kind, step):
    monkeypatch.setattr(app.jobs.queue, "spawn", lambda place, id_, *options: None)
    homes = [Location(tmp_path / name) for name in ("undisturbed", "killed")]
    for location in homes:
        shutil.copytree(prepared / "home", location.home)
        assert start_job(location, kind, CASES[kind][0](location, prepared)).id == 1
    undisturbed, killed = homes
    expected = run_job(undisturbed, 1)
    assert expected.state == "done", expected

    monkeypatch.setenv("STLIB_FAULT", step)
    assert spawn(jobs_place(killed), 1).wait(60) == -signal.SIGKILL
    monkeypatch.delenv("STLIB_FAULT")
    assert find_job(killed, 1).state == "interrupted"
    assert resume_job(killed, 1).state == "queued"
    resumed = run_job(killed, 1)
    assert resumed.state == "done", resumed
    assert told(resumed) == told(expected)
    assert contents(killed) == contents(undisturbed)
    assert len(list_jobs(killed)) == 1


def told(job):
    """The result, without times, and without how much of the work an earlier run had done."""
    result = json.loads(json.dumps(job.result), object_hook=_timeless)
    for counted in (
        ("added", "unchanged", "documents_made") if job.kind in ("index", "sync", "reindex") else ()
    ):
        result.pop(counted, None)
    if job.kind == "report":
        del result["report"]  # its number: one that was kept before its job died is kept
    return result


def _timeless(values):
    return {name: value for name, value in values.items() if name not in _TIMES}


def contents(location):
    with Collection.open("notes", **location.arguments()) as collection:
        checked = collection.verify()
        assert checked.clean, checked
        found = {mode: collection.search("iron", 20, mode=mode) for mode in ("semantic", "keyword")}
        answers = {
            mode: [(one.id, round(one.score, 5)) for one in got.results] for mode, got in found.items()
        }
        return checked.documents, checked.chunks, answers, [one.note for one in collection.servings()]
