"""Jobs on a small corpus: as processes, or in this one where the process is not what is tested."""

from __future__ import annotations

import json
import time

import pytest

import app.jobs.queue
from app.facade.jobs import cancel_job, find_job, list_jobs, start_job
from app.indexing_job import IndexChoices
from app.jobs.kinds import index
from app.settings import Location
from indexing import Collection

# More than one batch, so that there is something between two commits.
DOCUMENTS = [{"id": f"d{i}", "text": f"note {i} about {'bread' if i % 3 else 'iron'}"} for i in range(1100)]


@pytest.fixture
def location(home):
    """A home whose workers end with the test."""
    location = Location(home)
    yield location
    for job in list_jobs(location):
        if not job.finished:
            cancel_job(location, job.id, force=True)


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS), encoding="utf-8")
    return path


@pytest.fixture
def few(tmp_path):
    """For jobs of which only the order counts."""
    path = tmp_path / "few.jsonl"
    path.write_text('{"id": "a", "text": "apples"}\n{"id": "b", "text": "bread"}\n')
    return path


@pytest.fixture
def long_corpus(tmp_path):
    """Takes several batches, and seconds."""
    path = tmp_path / "long.jsonl"
    text = "bread and butter " * 60
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": f"d{i}", "text": f"{i} {text}"}) + "\n" for i in range(8_000))
    return path


@pytest.fixture
def index_job(location):
    """Starts an indexing job."""

    def start(path, collection="notes"):
        return start_job(location, "index", index.describe(collection, [path], IndexChoices()))

    return start


@pytest.fixture
def no_processes(monkeypatch):
    """Jobs stay queued; the test runs them by `run_job`. Returns the numbers of those that would start."""
    started = []
    monkeypatch.setattr(app.jobs.queue, "spawn", lambda place, id_, *options: started.append(id_))
    return started


@pytest.fixture
def wait(location):
    """Waits until a job is in one of the states, or has ended."""

    def wait(id_, *states, until=lambda job: True):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            job = find_job(location, id_)
            if (job.state in states and until(job)) or (not states and job.finished):
                return job
            assert not job.finished, job
            time.sleep(0.05)
        pytest.fail(f"still {job}")

    return wait


@pytest.fixture
def contents(location):
    """The documents of a collection and what a search finds, to compare two ways to them."""

    def contents(name="notes"):
        with Collection.open(name, **location.arguments()) as collection:
            report = collection.verify()
            assert report.clean, report
            found = collection.search("iron", 600, mode="keyword").results
            return report.documents, sorted((result.id, result.text) for result in found)

    return contents


@pytest.fixture
def expected():
    """What `contents` says after a run that nothing disturbed."""
    iron = sorted((d["id"], d["text"]) for d in DOCUMENTS if "iron" in d["text"])
    return len(DOCUMENTS), iron
