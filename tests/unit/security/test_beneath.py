"""No link, and no name, leads out of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.facade import beneath
from app.facade.beneath import NotServed, open_beneath


@pytest.fixture(params=["by steps", "whole"])
def way(request, monkeypatch):
    monkeypatch.setattr(beneath, "_KNOWS_FOLDERS", request.param == "by steps")


@pytest.fixture
def root(tmp_path):
    """A folder of documents, a secret beside it, and a home inside and outside of it."""
    root = tmp_path / "notes"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "a.txt").write_text("an answer")
    (root / "b.txt").write_text("another")
    (root / "home" / "uploads").mkdir(parents=True)
    (root / "home" / "uploads" / "c.txt").write_text("kept")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").write_text("a secret")
    return root


def read(root, below, home=Path("/nowhere")):
    with open_beneath(str(root), below, home) as file:
        return file.read().decode()


def test_files_below_are_opened(root, way):
    assert read(root, "deep/er/a.txt") == "an answer"
    assert read(root, "b.txt") == "another"


def test_a_root_may_be_reached_over_a_link(root, tmp_path, way):
    (tmp_path / "link").symlink_to(root)
    assert read(tmp_path / "link", "b.txt") == "another"


@pytest.mark.parametrize(
    "below",
    [
        "../secret/a.txt",
        "deep/../../secret/a.txt",
        "/etc/passwd",
        "",
        ".",
        "..",
        "deep//er/a.txt",
        "a\0b",
        "deep/",
    ],
)
def test_a_name_leads_nowhere_else(root, below, way):
    with pytest.raises(NotServed, match="is no path below a folder"):
        read(root, below)


@pytest.mark.parametrize("where", ["deep/er/a.txt", "deep/er", "deep"])
def test_a_link_planted_later_is_not_followed(root, tmp_path, where, way):
    place = root / where
    place.rename(tmp_path / "old")
    place.symlink_to(tmp_path / "secret" / "a.txt" if place.name == "a.txt" else tmp_path / "secret")
    (tmp_path / "secret" / "er").mkdir()
    (tmp_path / "secret" / "er" / "a.txt").write_text("a secret")
    with pytest.raises(NotServed, match=r"link|cannot be opened"):
        read(root, "deep/er/a.txt")


def test_nothing_of_the_home_is_opened(root, way):
    with pytest.raises(NotServed, match="folder of the collections"):
        read(root, "home/uploads/c.txt", root / "home")
    with pytest.raises(NotServed, match="folder of the collections"):
        read(root / "home" / "uploads", "c.txt", root / "home")
    with pytest.raises(NotServed, match="folder of the collections"):
        read(root / "home", "uploads/c.txt", root / "home")
    assert read(root, "b.txt", root / "home") == "another"


def test_what_is_no_file_is_not_waited_for(root, way):
    os.mkfifo(root / "pipe")
    for below in ("pipe", "deep", "gone.txt", "b.txt/c", "x" * 5000):
        with pytest.raises(NotServed):
            read(root, below)


def test_no_file_stays_open(root, way):
    before = len(list(Path("/proc/self/fd").iterdir()))
    for below in ("deep/er/a.txt", "deep", "gone/a", "home/uploads/c.txt"):
        try:
            read(root, below, root / "home")
        except NotServed:
            continue
    assert len(list(Path("/proc/self/fd").iterdir())) == before
