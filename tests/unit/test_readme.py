"""What README shows is what happens."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def test_python_session_prints_what_it_says(home, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(home))
    results = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert (results.failed, results.attempted > 3) == (0, True)


def test_linked_files_exist():
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text("utf-8"))
    assert [t for t in targets if not (ROOT / t).exists()] == []


def test_every_make_target_and_option_named_exists():
    text = README.read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"\bmake ([a-z]+)\b", text))
    assert targets <= set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    scripts = set(re.findall(r"tests/benchmarks/\w+\.py", text))
    assert [s for s in scripts if not (ROOT / s).exists()] == []
