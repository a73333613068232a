"""A job is killed at every step: it is seen, it resumes, and the end is that of a run without a kill."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.facade.jobs import find_job, list_jobs, resume_job
from app.jobs.model import Job
from app.jobs.place import jobs_place
from app.jobs.queue import spawn, startable
from app.jobs.table import TokenLost, open_jobs, read_jobs, take, write
from app.jobs.worker import Report, run_job
from indexing import Collection

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[3]

# Where a worker may die: the state that the next look tells, and how many documents are safe by then.
STEPS = {
    "job.lock": ("queued", 0),
    "job.token": ("interrupted", 0),
    "job.before-progress": ("interrupted", 1024),
    "job.after-progress": ("interrupted", 1024),
    "job.before-progress@2": ("interrupted", 1100),
    "job.before-result": ("interrupted", 1100),
    "job.after-result": ("done", 1100),
}
# Where the one who starts a job may die.
CALLER_STEPS = ("job.row", "job.spawn")
SHORT = ("job.row", "job.lock", "job.after-progress", "job.before-result")


def test_every_step_is_tried():
    named = {
        name
        for path in (ROOT / "app").rglob("*.py")
        for name in re.findall(r'point\("(job\..+?)"\)', path.read_text("utf-8"))
    }
    assert named == {step.partition("@")[0] for step in STEPS} | {*CALLER_STEPS}


def pytest_generate_tests(metafunc):
    """`make faults` tries every step, `make test` those in SHORT."""
    if "step" in metafunc.fixturenames:
        steps = CALLER_STEPS if "caller" in metafunc.function.__name__ else STEPS
        every = metafunc.config.getoption("--kills") > 20
        metafunc.parametrize("step", [step for step in steps if every or step in SHORT])


def test_a_worker_killed_at_any_step(
    location, corpus, index_job, contents, expected, no_processes, monkeypatch, step
):
    state, safe = STEPS[step]
    id_ = index_job(corpus).id
    monkeypatch.setenv("STLIB_FAULT", step)
    assert spawn(jobs_place(location), id_).wait(60) == -signal.SIGKILL
    job = find_job(location, id_)
    assert job.state == state
    assert job.done <= safe
    if safe:
        with Collection.open("notes", **location.arguments()) as collection:
            report = collection.verify()
            assert report.clean and report.documents >= safe
    if state == "interrupted":
        assert resume_job(location, id_).state == "queued"
    if state != "done":
        corpus.touch()  # or it is read again only where it was made within two seconds
        job = run_job(location, id_)
        assert job.result["unchanged"] == safe
    assert (job.state, job.done, job.result["documents"]) == ("done", 1100, 1100)
    assert contents() == expected


START = """
import sys
from pathlib import Path
from app.indexing_job import IndexChoices
from app.facade.jobs import start_job
from app.jobs.kinds import index
from app.settings import Location
start_job(Location(Path(sys.argv[1])), "index", index.describe("notes", [Path(sys.argv[2])], IndexChoices()))
"""


def test_a_caller_killed_while_it_starts_a_job(location, corpus, contents, expected, wait, step):
    """The job was accepted: it runs, at the latest when somebody looks."""
    environment = {**os.environ, "STLIB_FAULT": step, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", START, str(location.home), str(corpus)]
    assert subprocess.run(command, env=environment).returncode == -signal.SIGKILL
    assert wait(1).state == "done"
    assert contents() == expected


def test_a_worker_whose_job_was_taken_over_writes_nothing(location, corpus, index_job, no_processes):
    id_ = index_job(corpus).id
    place = jobs_place(location)
    with open_jobs(place) as engine:
        stale = take(engine, id_, 1)  # without the lock: it looks dead
        assert [job.state for job in read_jobs(engine, place)] == ["interrupted"]
        refuses_to_write(engine, place, stale)
        resume_job(location, id_)
        with place.take_lock(engine, id_):
            new = take(engine, id_, 1)
            assert (stale.token, new.token) == (1, 3)
            refuses_to_write(engine, place, stale)
            assert write(engine, new, done=7).done == 7


def refuses_to_write(engine, place, stale: Job):
    before = list_jobs(place.location)
    report = Report(engine, place, stale)
    for attempt in (
        lambda: report(5, 10, "documents"),
        report.check,
        lambda: write(engine, stale, state="done"),
    ):
        with pytest.raises(TokenLost):
            attempt()
    assert list_jobs(place.location) == before


def test_only_as_many_run_as_may(location, corpus, index_job, no_processes, monkeypatch):
    first, second, third = (index_job(corpus, name).id for name in ("a", "b", "c"))
    assert no_processes == [first, first, first]
    place = jobs_place(location)
    with open_jobs(place) as engine, place.take_lock(engine, first):
        take(engine, first, 1)
        assert take(engine, second, 1) is None
        assert startable(engine, place) == []
        monkeypatch.setenv("STLIB_JOBS", "2")
        assert [job.id for job in startable(engine, place)] == [second]
        assert take(engine, second, 2).state == "running"
        assert take(engine, third, 2) is None
