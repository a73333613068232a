"""A collection of notes, and the command line over it."""

from __future__ import annotations

import json

import pytest

from app.cli import main
from app.facade.jobs import cancel_job, list_jobs
from app.settings import Location

WORDS = "whale iron bread music law bridge honey rocket garden winter".split()


@pytest.fixture
def location(home):
    """A home whose workers end with the test."""
    location = Location(home)
    yield location
    for job in list_jobs(location):
        if not job.finished:
            cancel_job(location, job.id, force=True)


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


@pytest.fixture
def write_notes(tmp_path):
    """Writes so many notes as JSON lines, each on one of ten subjects."""

    def write(count, name="notes.jsonl"):
        path = tmp_path / name
        rows = (
            {
                "id": f"n{n:05}",
                "title": f"Note {n}",
                "text": f"note {n} about {WORDS[n % len(WORDS)]}",
                "metadata": {"n": n, "subject": WORDS[n % len(WORDS)]},
            }
            for n in range(count)
        )
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


@pytest.fixture
def notes(stlib, write_notes):
    """The collection `notes` of thirty notes."""
    path = write_notes(30)
    assert stlib("index", "notes", path)[0] == 0
    return path


@pytest.fixture
def answers(stlib):
    """Ids and scores that the command finds."""

    def answers(query="music and law", *options, name="notes"):
        code, out, _ = stlib("search", name, query, "--json", *options)
        assert code == 0
        return [(result["id"], round(result["score"], 5)) for result in json.loads(out)["results"]]

    return answers
