"""Jobs that bring sources in by a plan: killed, resumed and cancelled they go on."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import app.jobs.queue
from app.facade.jobs import cancel_job, find_job, read_log, resume_job, start_job
from app.indexing_job import IndexChoices
from app.jobs.kinds import index
from app.jobs.place import jobs_place
from app.jobs.queue import spawn
from app.jobs.words import say_result, say_title
from app.jobs.worker import run_job
from app.loading_job import LoadChoices
from app.settings import Location
from indexing import Collection
from indexing.catalog.database import writing
from indexing.errors import BadInput

DOCUMENTS = 1400  # three pieces of the bundled model


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Location:
    monkeypatch.setattr(app.jobs.queue, "spawn", lambda place, id_, *options: None)
    lines = (json.dumps({"id": f"d{i}", "text": f"note {i} of iron"}) + "\n" for i in range(DOCUMENTS))
    (tmp_path / "corpus.jsonl").write_text("".join(lines), "utf-8")
    return Location(tmp_path / "home")


def described(location: Location, **choices: Any) -> dict[str, Any]:
    assert location.home is not None
    corpus = location.home.parent / "corpus.jsonl"
    return index.describe_load("notes", [str(corpus)], IndexChoices(), LoadChoices(**choices))


def count(location: Location) -> int:
    with Collection.open("notes", home=location.home) as collection:
        assert collection.verify().errors == []
        return len(collection)


def test_a_killed_load_goes_on_and_does_not_restart(location: Location, monkeypatch: pytest.MonkeyPatch):
    assert start_job(location, "index", described(location, restart=True)).id == 1
    monkeypatch.setenv("STLIB_FAULT", "piece.after@2")
    assert spawn_for(location) == -signal.SIGKILL
    monkeypatch.delenv("STLIB_FAULT")
    assert find_job(location, 1).state == "interrupted"
    assert resume_job(location, 1).state == "queued"
    assert spawn_for(location) == 0
    job = find_job(location, 1)
    assert (job.state, say_title(job)) == ("done", "Read documents")
    assert job.result is not None
    assert job.result["load"] | {"passages": 0} == {
        "shards": 1,
        "done": 1,
        "bad_count": 0,
        "bad": [],
        "passages": 0,
        "resumed": True,
        "finished": True,
    }
    assert job.result["added"] == DOCUMENTS
    assert say_result(job)[0].startswith("1,400 added")
    assert any("goes on: 0 of 1 parts are stored" in line for line in read_log(location, 1))
    assert count(location) == DOCUMENTS


def test_a_job_that_was_killed_before_it_planned_restarts_when_it_is_resumed(
    location: Location, monkeypatch: pytest.MonkeyPatch
):
    assert location.home is not None
    start_job(location, "index", described(location))
    monkeypatch.setenv("STLIB_FAULT", "piece.after@1")
    assert spawn_for(location) == -signal.SIGKILL
    with Collection.open("notes", home=location.home) as collection:
        with writing(collection._session.database) as connection:  # not in the second of the next job
            connection.execute(text("UPDATE load SET begun_at = '2026-01-01T00:00:00+00:00'"))
        corpus = location.home.parent / "corpus.jsonl"
        planned = collection.load_planned_at([corpus])
        assert (str(planned), collection.load_planned_at([location.home.parent])) == (
            "2026-01-01 00:00:00+00:00",
            None,
        )
    with corpus.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"id": "more", "text": "one more"}) + "\n")
    start_job(location, "index", described(location, restart=True))
    monkeypatch.setenv("STLIB_FAULT", "job.token")
    assert spawn_for(location, 2) == -signal.SIGKILL
    monkeypatch.delenv("STLIB_FAULT")
    resume_job(location, 2)
    job = run_job(location, 2)
    assert job is not None
    assert (job.state, job.error) == ("done", "")
    assert count(location) == DOCUMENTS + 1


def spawn_for(location: Location, number: int = 1) -> int:
    """The exit code of a worker of a job; the fixture keeps the queue from starting one by itself."""
    return spawn(jobs_place(location), number).wait(60)


def test_a_load_is_cancelled_and_what_it_stored_stays(location: Location, monkeypatch: pytest.MonkeyPatch):
    start_job(location, "index", described(location))
    load = Collection.load

    def cancelled(self: Collection, *given: Any, progress: Callable[[Any], None], **named: Any) -> Any:
        cancel_job(location, 1)
        return load(self, *given, progress=progress, **named)

    monkeypatch.setattr(Collection, "load", cancelled)
    job = run_job(location, 1)
    assert job is not None
    assert job.state == "cancelled"
    monkeypatch.setattr(Collection, "load", load)
    resume_job(location, 1)
    job = run_job(location, 1)
    assert job is not None
    assert job.state == "done"
    assert count(location) == DOCUMENTS


def test_a_part_that_cannot_be_read_fails_the_job_with_its_name(location: Location):
    assert location.home is not None
    torn = location.home.parent / "corpus.jsonl"
    start_job(location, "index", described(location))
    before = index.load_sources

    def torn_meanwhile(*given: Any) -> Any:
        """The file is changed after it was planned, and before it is read."""
        from indexing.bulk import here

        begun = here.Writer

        def writer(*parts: Any) -> Any:
            torn.write_text("{", "utf-8")
            return begun(*parts)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(here, "Writer", writer)
            return before(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "load_sources", torn_meanwhile)
        job = run_job(location, 1)
    assert job is not None
    assert job.state == "failed"
    assert "1 of 1 parts of the source could not be read" in job.error
    assert "corpus.jsonl has changed" in job.error


def test_a_cluster_that_is_not_there_is_named(location: Location):
    pytest.importorskip("ray")
    start_job(location, "index", described(location, ray="127.0.0.1:9", workers=2))
    job = run_job(location, 1)
    assert job is not None
    assert (job.state, "--ray 127.0.0.1:9: no Ray cluster answers there" in job.error) == ("failed", True)


def test_what_cannot_be_is_told_before_there_is_a_job(location: Location, tmp_path: Path):
    with pytest.raises(BadInput, match="missing"):
        index.describe_load("notes", [str(tmp_path / "missing")], IndexChoices(), LoadChoices())
    with pytest.raises(BadInput, match="collection name"):
        index.describe_load("..", [str(tmp_path)], IndexChoices(), LoadChoices())
