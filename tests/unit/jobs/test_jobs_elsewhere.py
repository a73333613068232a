"""Jobs whose worker is another container: cancelled from here, ended by it; and who runs none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import app.facade.jobs
from app.facade.jobs import cancel_job, find_job, resume_job, run_queue, worker_is_there
from app.jobs.beat import Beat, last_beat
from app.jobs.place import jobs_place
from app.jobs.table import open_jobs, take
from indexing.errors import BadInput

ROOT = Path(__file__).resolve().parents[3]


def test_a_job_of_another_container_is_ended_by_its_worker(
    location, long_corpus, index_job, monkeypatch, wait
):
    monkeypatch.setenv("STLIB_JOBS", "0")  # this is the page
    id_ = index_job(long_corpus).id
    command = [sys.executable, "-c", "from app.cli import main; main()", "worker", "--once"]
    environment = {**os.environ, **location.to_environment(), "STLIB_JOBS": "1", "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        job = wait(id_, "running", "queued", until=lambda job: job.done)
        monkeypatch.setattr(app.facade.jobs.socket, "gethostname", lambda: "another")
        assert cancel_job(location, id_, force=True).state == "cancelled"
        out, _ = worker.communicate(timeout=30)
    assert (worker.returncode, out) == (0, f"job {id_}: index 'notes': cancelled\n")
    with pytest.raises(ProcessLookupError):
        os.kill(job.pid, 0)


def test_without_a_worker_there_it_must_be_cancelled_there(
    location, few, index_job, no_processes, monkeypatch
):
    id_ = index_job(few).id
    place = jobs_place(location)
    with open_jobs(place) as engine, place.take_lock(engine, id_):
        take(engine, id_, 1)
        monkeypatch.setattr(app.facade.jobs.socket, "gethostname", lambda: "another")
        with pytest.raises(BadInput, match="not seen from here: cancel it there"):
            cancel_job(location, id_, force=True)
    assert find_job(location, id_).state == "interrupted"


def test_who_runs_no_jobs_says_so(location, few, index_job, no_processes, monkeypatch):
    monkeypatch.setenv("STLIB_JOBS", "0")
    id_ = index_job(few).id
    assert no_processes == []
    assert not worker_is_there(location)
    with pytest.raises(BadInput, match="STLIB_JOBS is 0, so that no job is run here"):
        next(run_queue(location))
    beat = Beat(jobs_place(location))
    beat()
    assert worker_is_there(location)
    [path] = jobs_place(location).folder.glob("*.beat")
    os.utime(path, (time.time() - 31,) * 2)
    assert last_beat(jobs_place(location)) > 30 and not worker_is_there(location)
    beat.end()
    assert last_beat(jobs_place(location)) is None
    assert resume_job(location, id_).state == "queued" and no_processes == []
