"""Jobs that came with a copied home wait until a person names them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from app.cli import main
from app.facade.jobs import list_jobs, resume_job, run_queue
from app.jobs.place import jobs_place
from app.settings import Location
from indexing.errors import BadInput, StorageError


@pytest.fixture
def copied(location, corpus, index_job, no_processes, tmp_path):
    """A home with two queued jobs, copied to another place; nothing was started yet."""
    index_job(corpus, "a")
    index_job(corpus, "b")
    shutil.copytree(location.home, tmp_path / "copy")
    no_processes.clear()
    return Location(tmp_path / "copy")


def states(location):
    return [job.state for job in list_jobs(location)]


def test_looking_at_a_copied_home_starts_nothing(location, copied, no_processes):
    assert states(copied) == ["queued", "queued"]
    with pytest.raises(BadInput, match="came from elsewhere, and its 2 jobs are not run: name those to run"):
        next(run_queue(copied, once=True))
    assert no_processes == []
    list_jobs(location)
    assert states(location) == ["queued", "queued"]


def test_the_list_says_why_they_wait(copied, capsys):
    with pytest.raises(SystemExit):
        main(["jobs", "--home", str(copied.home)])
    said = "these came with a copied home: `stlib jobs resume ID` starts one that you trust"
    assert capsys.readouterr().err == f"stlib: note: {said}\n"


def test_a_word_for_one_job_is_none_for_the_others(copied, no_processes):
    assert resume_job(copied, 2).state == "queued"
    assert no_processes == [2]
    assert states(copied) == ["interrupted", "queued"]
    assert list_jobs(copied)[0].error == "it came with a home that this machine did not know"


def test_another_machine_starts_nothing(location, copied, no_processes, another_machine):
    assert states(location) == ["queued", "queued"]
    assert no_processes == []


def test_a_fresh_home_is_known_to_its_worker(tmp_path):
    location = Location(tmp_path / "fresh")
    assert list(run_queue(location, once=True)) == []


def test_without_notes_of_the_machine_no_job_is_started(location, corpus, index_job, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STLIB_STATE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="set STLIB_STATE to a folder that only you can write to"):
        index_job(corpus)
    assert list_jobs(location) == []


def test_a_table_of_a_newer_release_is_refused(tmp_path):
    location = Location(tmp_path)
    path = jobs_place(location).database
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 2")
    with pytest.raises(StorageError, match=r"jobs\.sqlite has version 2, newer .* \(1\): upgrade stlib with"):
        list_jobs(location)


def test_jobs_of_a_database_stand_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = jobs_place(Location(db="sqlite:///notes.db"))
    assert place.database == tmp_path / "notes.db.jobs.sqlite"
    assert place.log(3) == tmp_path / "notes.db.jobs" / "3.log"
    assert place.location == Location(db=f"sqlite:///{tmp_path / 'notes.db'}")
