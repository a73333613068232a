"""Copies of what lies elsewhere go with whoever made them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from indexing.bulk.keeping import folder_for_copies

KILLED = """
import os, signal
from indexing.bulk.keeping import folder_for_copies
with folder_for_copies() as folder:
    (folder / "a.jsonl").write_text("copied")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary ones."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_copies_of_a_process_that_was_killed_are_removed_and_those_in_use_are_not(here: Path):
    subprocess.run([sys.executable, "-c", KILLED], check=False, timeout=60)
    (left,) = here.iterdir()
    assert (left / "a.jsonl").read_text() == "copied"
    (here / "other").mkdir()
    with folder_for_copies() as first:  # what was made a moment ago may be about to be locked
        assert left.exists()
        for folder in (left, first, here / "other"):
            os.utime(folder, (1, 1))
        with folder_for_copies() as second:
            assert sorted(here.iterdir()) == sorted([first, second, here / "other"])
            assert second.stat().st_mode & 0o077 == 0
    assert list(here.iterdir()) == [here / "other"]
