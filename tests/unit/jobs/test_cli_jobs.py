"""What the commands about jobs print."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.cli.jobs import new_lines
from app.facade.jobs import find_job, list_jobs
from app.jobs.place import jobs_place
from app.jobs.worker import run_job
from indexing import Collection

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def stlib(capsys, monkeypatch, location):
    """Runs a command line; returns (exit code, stdout, stderr)."""
    monkeypatch.setenv("STLIB_HOME", str(location.home))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


def test_no_jobs_yet(stlib, location):
    said = "no jobs yet: start one with `stlib index NAME PATH --background`\n"
    assert stlib("jobs") == (0, said, "")
    assert json.loads(stlib("jobs", "--json")[1]) == {"jobs": []}
    assert stlib("jobs", "show", 1) == (1, "", "stlib: no job 1; there are: none yet\n")
    assert not location.home.exists()


def test_a_job_of_the_command_line_from_start_to_end(stlib, location, few, no_processes):
    assert stlib("index", "notes", few, "--background") == (
        0,
        "job 1: `stlib jobs` shows how far it is\n",
        "",
    )
    assert no_processes == [1]
    assert [line.split() for line in stlib("jobs")[1].splitlines()] == [
        ["id", "kind", "collection", "state", "progress", "started"],
        ["1", "index", "notes", "queued"],
    ]
    run_job(location, 1)
    row = stlib("jobs")[1].splitlines()[1]
    assert re.fullmatch(
        r" 1  index  notes       done   100 %, 2 documents, [\d,]+/s  [\d-]{10} [\d:]{8}", row
    )
    shown = stlib("jobs", "show", 1)[1].splitlines()
    assert shown[:2] == ["job 1: index notes", "  state       done"]
    told = json.loads(stlib("jobs", "show", 1, "--json")[1])
    assert (told["state"], told["done"], told["total"], told["result"]["added"]) == ("done", 2, 2, 2)
    assert told == json.loads(stlib("jobs", "--json")[1])["jobs"][0]
    assert stlib("jobs", "resume", 1)[1:] == ("", "stlib: job 1 is done: there is nothing to resume\n")


def test_evaluate_in_the_background_measures_the_same(stlib, location, few, no_processes, tmp_path):
    stlib("index", "notes", few)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "queries.jsonl").write_text('{"_id": "1", "text": "apples"}\n{"_id": "2", "text": "bread"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n1\ta\t1\n2\tyeti\t1\n")
    arguments = ("evaluate", "notes", tmp_path, "--mode", "all", "--json")
    here = json.loads(stlib(*arguments)[1])
    assert stlib(*arguments, "--background") == (0, '{"job": 1}\n', "")
    job = run_job(location, 1)
    assert (job.state, job.done, job.total, job.unit) == ("done", 6, 6, "questions")
    for report in (*here["modes"].values(), *job.result["modes"].values()):
        del report["seconds"]
    assert job.result == here
    assert here["modes"]["keyword"]["metrics"]["Recall@10"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("index", "notes", "nowhere"), "no such file or folder: nowhere; nothing was read"),
        (("index", "no/tes", "."), "collection name 'no/tes': use 1 to 64 letters"),
        (("evaluate", "notes", "nowhere"), "nowhere: no queries.jsonl; give a folder in BEIR layout"),
    ],
)
def test_what_cannot_work_is_refused_before_a_job_is_made(stlib, location, arguments, message):
    code, out, err = stlib(*arguments, "--background")
    assert (code, out) == (1, "") and err.startswith(f"stlib: {message}")
    assert list_jobs(location) == []


def test_cancel_and_resume(stlib, location, few, no_processes):
    stlib("index", "notes", few, "--background")
    assert stlib("jobs", "cancel", 1) == (0, "job 1 is cancelled\n", "")
    assert stlib("jobs", "cancel", 1) == (1, "", "stlib: job 1 is cancelled: there is nothing to cancel\n")
    assert stlib("jobs", "resume", 1) == (0, "job 1: `stlib jobs` shows how far it is\n", "")
    assert find_job(location, 1).state == "queued"


def test_a_log_is_shown_as_text(stlib, location, few, no_processes):
    stlib("index", "notes", few, "--background")
    jobs_place(location).log(1).write_text("one\n\x1b[31mtwo\u202e\nthree\n", encoding="utf-8")
    code, out, err = stlib("jobs", "log", 1)
    assert (code, out, err) == (0, "one\n\\x1b[31mtwo\\u202e\nthree\n", "")


def test_a_log_is_followed_to_the_end(stlib, few):
    stlib("index", "notes", few, "--background")
    code, out, err = stlib("jobs", "log", 1, "--follow")
    assert (code, err) == (0, "")
    assert [line.split("INFO ")[1] for line in out.splitlines()] == ["begun: index notes", "done"]


@pytest.mark.parametrize(
    ("before", "now", "new"),
    [
        ([], ["a"], ["a"]),
        (["a", "b"], ["a", "b"], []),
        (["a", "b"], ["a", "b", "c"], ["c"]),
        (["a", "b", "c"], ["b", "c", "d"], ["d"]),  # the log keeps its end only
        (["a", "b"], ["x", "y"], ["x", "y"]),
        (["a", "a"], ["a", "a", "a"], ["a"]),
    ],
)
def test_lines_are_printed_once(before, now, new):
    assert new_lines(before, now) == new


def test_a_worker_runs_what_is_queued(stlib, few, location, no_processes):
    stlib("index", "notes", few, "--background")
    stlib("index", "more", few, "--background", "--engine", "usearch")
    done = subprocess.run(
        [sys.executable, "-c", "from app.cli import main; main()", "worker", "--once"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    said = "job 1: index 'notes': done\njob 2: index 'more': done\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    with Collection.open("more", **location.arguments()) as collection:
        assert (collection.info().documents, collection.info().engine) == (2, "usearch")


def test_a_worker_that_is_stopped_interrupts_its_job(location, long_corpus, index_job, no_processes, wait):
    job = index_job(long_corpus)
    with subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "worker"],
        env={**os.environ, "STLIB_HOME": str(location.home), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait(job.id, "running", until=lambda job: job.done)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "stlib: stopped; `stlib jobs` shows what is left\n")
    assert find_job(location, job.id).state == "interrupted"
