"""A home from a stranger: its table of jobs may be anything, and its files may lead anywhere."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import pytest

from app.cli import main
from app.facade.jobs import list_jobs, read_log, resume_job
from app.jobs.place import jobs_place
from app.jobs.queue import spawn
from app.settings import Location
from indexing.errors import StorageError


@pytest.fixture
def place(location, few, index_job, no_processes):
    """Of a home with one queued job."""
    index_job(few)
    return jobs_place(location)


def alter(place, statement, *values):
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.execute(statement, values)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("arguments", "{"),
        ("arguments", "[]"),
        ("arguments", 7),
        ("arguments", "[" * 100_000),
        ("result", "1"),
        ("collection", b"\xff"),
        ("state", "asleep"),
        ("done", "many"),
        ("done", -1),
        ("token", 2**63 - 1),
        ("updated", float("inf")),
        ("created", 1e300),
        ("started", "yesterday"),
        ("pid", 1.5),
    ],
)
def test_a_damaged_row_is_named(place, capsys, column, value):
    before = place.database.read_bytes()
    alter(place, f"UPDATE job SET {column} = ?", value)
    with pytest.raises(SystemExit) as end:
        main(["jobs", "--home", str(place.location.home)])
    out, err = capsys.readouterr()
    assert (end.value.code, out) == (1, "")
    assert err.startswith(f"stlib: {place.database} is damaged (")
    assert err.endswith("): move it away to begin anew; no collection needs it\n") and err.count("\n") == 1
    place.database.write_bytes(before)  # for the end of the test, which looks for what runs


def test_a_table_of_another_kind_is_named(place):
    alter(place, "ALTER TABLE job RENAME TO work")
    with pytest.raises(StorageError, match="no such table: job"):
        list_jobs(place.location)
    alter(place, "ALTER TABLE work RENAME TO job")


def test_text_of_a_strange_job_is_shown_as_text(place, capsys):
    alter(place, "UPDATE job SET kind = ?, collection = ?", "\x1b[2J", "a\u202eb")
    with pytest.raises(SystemExit):
        main(["jobs", "--home", str(place.location.home)])
    with pytest.raises(SystemExit):
        main(["jobs", "show", "1", "--home", str(place.location.home)])
    out, err = capsys.readouterr()
    assert err == "" and not set("\x1b\u202e") & set(out)
    assert out.count("\\x1b[2J") == out.count("a\\u202eb") == 2


@pytest.mark.parametrize("how", ["link", "pipe"])
def test_a_log_that_leads_elsewhere_is_not_followed(place, tmp_path, monkeypatch, how):
    mine = tmp_path / "mine"
    mine.write_text("mine\n" * 100_000)
    log = place.log(1)
    log.unlink(missing_ok=True)
    log.symlink_to(mine) if how == "link" else os.mkfifo(log)
    assert read_log(place.location, 1) == []
    monkeypatch.setenv("STLIB_FAULT", "job.lock")
    spawn(place, 1).wait(60)
    assert log.is_file() and not log.is_symlink()
    assert mine.read_text() == "mine\n" * 100_000


def test_a_table_that_is_a_link_is_refused(place, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "jobs.sqlite").symlink_to(place.database)
    for ask in (list_jobs, lambda location: resume_job(location, 1)):
        with pytest.raises(StorageError, match=r"jobs\.sqlite is a symbolic link, which is not followed"):
            ask(Location(other))
