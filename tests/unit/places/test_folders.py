"""Folders of this machine that the page may read: below the roots that a setting names, and nowhere else."""

from __future__ import annotations

import os

import pytest

from app.facade.caller import Caller, NotAllowed
from app.facade.collections import add_folder, folders_to_choose
from app.jobs.worker import run_job
from app.settings import folder_roots, is_loopback, upload_limits
from indexing import Collection
from indexing.errors import BadInput


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """Two roots, the second by a link; and a folder that is outside."""
    for name, text in (
        ("a/papers/deep/x.txt", "deep"),
        ("a/y.txt", "why"),
        ("b/z.txt", "zed"),
        ("out/o.txt", "out"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "a" / ".hidden").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "b")
    listed = [str(tmp_path / "a"), str(tmp_path / "link"), "", str(tmp_path / "missing")]
    monkeypatch.setenv("STLIB_FOLDERS", os.pathsep.join(listed))
    return tmp_path


def test_folders_to_choose_lie_below_the_roots(roots, caller):
    (roots / "a" / "away").symlink_to(roots / "out")
    assert [(folder.name, folder.path) for folder in folders_to_choose(caller)] == [
        ("a", roots / "a"),
        ("b", roots / "b"),
        ("a/papers", roots / "a" / "papers"),
        ("a/papers/deep", roots / "a" / "papers" / "deep"),
    ]


def test_a_folder_is_read_and_links_that_lead_out_are_not(roots, caller, location):
    (roots / "a" / "away").symlink_to(roots / "out")
    (roots / "a" / "secret.txt").symlink_to(roots / "out" / "o.txt")
    (roots / "a" / "zed.txt").symlink_to(roots / "b" / "z.txt")  # out of its root and in another
    job = run_job(location, add_folder(caller, location, "notes", roots / "a").id)
    with Collection.open("notes", **location.arguments()) as collection:
        assert {document.id: document.text for document in collection} == {
            "papers/deep/x.txt": "deep",
            "y.txt": "why",
            "zed.txt": "zed",
        }
    assert [(skip["source"], skip["reason"]) for skip in job.result["skips"]] == [
        (str(roots / "a" / "away"), "leads out of the folders that may be read"),
        (str(roots / "a" / "secret.txt"), "leads out of the folders that may be read"),
    ]


@pytest.mark.parametrize("name", ["out", "a/../out", "a/away", "", "missing", "a-b"])
def test_other_folders_are_refused(roots, caller, location, name):
    (roots / "a" / "away").symlink_to(roots / "out")
    (roots / "a-b").mkdir()
    with pytest.raises(BadInput, match=r"may not be read by the page; .* below these may: .*/a, .*/b\."):
        add_folder(caller, location, "notes", roots / name)


def test_a_link_that_is_turned_after_the_job_was_given_is_not_followed(roots, caller, location):
    job = add_folder(caller, location, "notes", roots / "a" / "papers")
    (roots / "a" / "papers").rename(roots / "a" / "old")
    (roots / "a" / "papers").symlink_to(roots / "out")
    assert run_job(location, job.id).result["documents"] == 0


def test_no_folder_is_offered_where_others_reach_the_page(roots, caller, location, monkeypatch):
    monkeypatch.setenv("STLIB_HOST", "0.0.0.0")
    assert folders_to_choose(caller) == []
    with pytest.raises(BadInput, match="what lies below these may: none"):
        add_folder(caller, location, "notes", roots / "a")


def test_those_who_may_not_manage_see_no_folders(roots, location):
    visitor = Caller("eve", "page", rights=frozenset({"search"}))
    with pytest.raises(NotAllowed):
        folders_to_choose(visitor)
    with pytest.raises(NotAllowed):
        add_folder(visitor, location, "notes", roots / "a")


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example", False),
        ("", False),
    ],
)
def test_which_addresses_this_machine_alone_reaches(host, alone):
    assert is_loopback(host) == alone


def test_limits_come_from_the_environment():
    assert folder_roots({}) == []
    limits = upload_limits({"STLIB_UPLOAD_MIB": "2", "STLIB_UPLOADS_MIB": "3", "STLIB_UPLOADED_FILES": "4"})
    assert (limits.file_bytes, limits.total_bytes, limits.files) == (2 * 2**20, 3 * 2**20, 4)
    with pytest.raises(BadInput, match="STLIB_UPLOAD_MIB is '0': give a whole number above 0"):
        upload_limits({"STLIB_UPLOAD_MIB": "0"})
