"""The demo: builds, indexes, answers; a second run embeds nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_the_demo_answers_and_the_second_run_embeds_nothing(tmp_path):
    def demo():
        return subprocess.run(
            [sys.executable, "-m", "app.demo", "--corpus", str(tmp_path / "corpus"), "--no-ui"],
            cwd=ROOT,
            env={**os.environ, "STLIB_HOME": str(tmp_path / "home"), "COLUMNS": "80"},
            capture_output=True,
            text=True,
        )

    first = demo()
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith("Building the sample corpus from the docstrings of this Python …\n")
    documents = int(re.search(r"python-stdlib: ([\d,]+) documents", first.stdout)[1].replace(",", ""))
    assert documents > 5000
    assert f"{documents:,} added, 0 updated, 0 unchanged" in first.stdout
    answered = re.findall(r"^› (.+?)  .*\n1\. ([\w.]+)", first.stdout, re.MULTILINE)
    assert dict(answered)["run a command and capture its output"] == "subprocess.run"
    assert len(answered) == 3

    second = demo()
    assert second.returncode == 0, second.stderr
    assert "Building" not in second.stdout
    assert f"nothing new, {documents:,} documents in 1 file" in second.stdout
    assert re.findall(r"^› (.+?)  .*\n1\. ([\w.]+)", second.stdout, re.MULTILINE) == answered

    (tmp_path / "corpus" / ".made-by.json").write_text("{}")  # as another Python would have left it
    third = demo()
    assert third.stdout.startswith("Building")
    assert f"{documents:,} added, 0 updated, 0 unchanged" in third.stdout
