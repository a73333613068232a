"""Jobs from start to end, in real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.facade.jobs import cancel_job, find_job, list_jobs, read_log, resume_job, start_job
from app.indexing_job import IndexChoices
from app.jobs.kinds import index
from app.jobs.place import jobs_place
from app.jobs.queue import spawn
from app.jobs.table import open_jobs, read_jobs, take, write
from app.jobs.worker import run_job
from app.settings import Location
from indexing import Collection
from indexing.errors import BadInput

ROOT = Path(__file__).resolve().parents[3]


def test_a_closed_terminal_does_not_end_the_job(location, corpus, wait, contents, expected):
    """The command's whole process group gets the signal that a terminal sends when it is closed."""
    command = f'{sys.executable} -c "from app.cli import main; main()" index notes notes.jsonl --background'
    with subprocess.Popen(
        ["sh", "-c", f"{command} --json; sleep 60"],
        env={**os.environ, "STLIB_HOME": str(location.home), "PYTHONPATH": str(ROOT)},
        cwd=corpus.parent,  # paths are relative to where the command was given
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as terminal:
        assert terminal.stdout.readline() == '{"job": 1}\n'
        os.killpg(terminal.pid, signal.SIGHUP)
    assert terminal.returncode == -signal.SIGHUP
    job = wait(1)
    assert (job.state, job.done, job.total, job.unit) == ("done", 1100, 1100, "documents")
    assert (job.result["added"], job.result["skipped"], job.token) == (1100, 0, 1)
    assert contents() == expected


def test_jobs_run_one_at_a_time_in_their_order(few, index_job, wait):
    ids = [index_job(few, name).id for name in ("a", "b")]
    jobs = [wait(id_) for id_ in ids]
    assert [job.state for job in jobs] == ["done"] * 2
    assert jobs[0].ended <= jobs[1].started


def test_of_workers_that_come_together_one_runs_the_job(few, tmp_path, monkeypatch, no_processes):
    """Here on a database, whose URL is relative."""
    monkeypatch.chdir(tmp_path)
    location = Location(db="sqlite:///notes.db")
    job = start_job(location, "index", index.describe("notes", [few], IndexChoices()))
    together = [spawn(jobs_place(location), job.id) for _ in range(2)]
    assert [process.wait(60) for process in together] == [0, 0]
    job = find_job(location, job.id)
    assert (job.state, job.token, job.result["added"]) == ("done", 1, 2)
    assert [line.split()[-1] for line in read_log(location, job.id)] == ["notes", "done"]
    assert Collection.list(db="sqlite:///notes.db") == ["notes"]


def test_a_process_that_is_no_worker_is_not_killed(location, few, index_job, no_processes):
    """The number that a job says may be another program's, seen from another container."""
    job = index_job(few)
    place = jobs_place(location)
    with (
        open_jobs(place) as engine,
        place.take_lock(engine, job.id),
        subprocess.Popen(["sleep", "60"]) as other,
    ):
        write(engine, take(engine, job.id, 1), pid=other.pid)
        with pytest.raises(BadInput, match=f"job 1 is process {other.pid} on .*, not seen from here"):
            cancel_job(location, job.id, force=True)
        assert other.poll() is None
        other.kill()


def test_a_cancelled_job_keeps_what_it_committed_and_resumes(location, long_corpus, index_job, wait):
    job = index_job(long_corpus)
    wait(job.id, "running", until=lambda job: job.done)
    assert cancel_job(location, job.id).cancel_requested
    job = wait(job.id)
    assert (job.state, job.result) == ("cancelled", None)
    with Collection.open("notes", **location.arguments()) as collection:
        assert job.done <= collection.verify().documents < 8_000
    with pytest.raises(BadInput, match="job 1 is cancelled: there is nothing to cancel"):
        cancel_job(location, job.id)
    resume_job(location, job.id)
    again = wait(job.id, "running", until=lambda later: later.done)
    assert again.token == 2
    os.kill(again.pid, signal.SIGSTOP)  # it never comes to its next commit, or is in the middle of one
    assert cancel_job(location, job.id, force=True).state == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(again.pid, signal.SIGCONT)


def test_a_killed_worker_is_noticed_by_the_next_look(location, long_corpus, few, index_job, wait):
    job = index_job(long_corpus)
    after = index_job(few, "after")
    pid = wait(job.id, "running", until=lambda job: job.done).pid
    os.kill(pid, signal.SIGKILL)
    dead = wait(job.id, "interrupted")
    assert dead.error == f"its process ({pid} on {dead.host}) ended without a word"
    assert wait(after.id).state == "done"  # the one who looked started it


def test_sigterm_interrupts_and_starts_no_other(location, long_corpus, few, index_job, wait):
    job, after = index_job(long_corpus), index_job(few, "after")
    os.kill(wait(job.id, "running", until=lambda job: job.done).pid, signal.SIGTERM)
    place = jobs_place(location)
    with open_jobs(place) as engine:  # `find_job` would start the other one
        place.take_lock(engine, job.id, wait=60).release()
        job, after = read_jobs(engine, place)
    assert (job.state, job.error) == ("interrupted", "it was stopped")
    assert (after.state, after.updated) == ("queued", after.created)


def test_a_queued_job_is_cancelled_at_once(location, few, index_job, no_processes):
    job = index_job(few)
    assert cancel_job(location, job.id).state == "cancelled"
    assert run_job(location, job.id) is None
    assert Collection.list(**location.arguments()) == []


def test_failures_are_text_and_the_log_says_where(location, tmp_path, no_processes):
    gone = {"collection": "notes", "paths": [str(tmp_path / "gone")], "choices": {}}
    known = run_job(location, start_job(location, "index", gone).id)
    assert (known.state, known.result) == ("failed", None)
    assert known.error == f"no such file or folder: {tmp_path / 'gone'}; nothing was read"
    job = start_job(location, "index", {"collection": "notes"})
    spawn(jobs_place(location), job.id).wait(60)
    job = find_job(location, job.id)
    assert (job.state, job.error) == ("failed", "unexpected KeyError: 'paths' (its log says where)")
    log = read_log(location, job.id)
    assert "Traceback (most recent call last):" in log and log[-1].endswith(job.error)


def test_unknown_kinds_and_numbers_are_named(location, few, index_job, no_processes):
    with pytest.raises(BadInput, match="kind of job 'dance': use one of index, sync, reindex, evaluate"):
        start_job(location, "dance", {})
    with pytest.raises(BadInput, match="no job 7; there are: none yet"):
        find_job(location, 7)
    assert not jobs_place(location).database.exists()
    index_job(few)
    with pytest.raises(BadInput, match="no job 7; there are: 1"):
        resume_job(location, 7)
    assert [job.id for job in list_jobs(location)] == [1]
