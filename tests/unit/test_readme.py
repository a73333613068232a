"""What README shows is what happens."""

from __future__ import annotations

import doctest
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.ui.server import free_port, is_healthy
from tests.blocks import blocks, run_commands

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


@pytest.mark.parametrize("name", ["README.md", "indexing/README.md"])
def test_python_session_prints_what_it_says(home, monkeypatch, tmp_path, name):
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(ROOT / name), module_relative=False, encoding="utf-8")
    assert (results.failed, results.attempted > 3) == (0, True)


@pytest.fixture
def papers(tmp_path, home, monkeypatch):
    (tmp_path / "papers").mkdir()
    bees = "---\nyear: 2021\ntopic: bees\n---\n# Bees\n\nBees find flowers by their colour and scent.\n"
    (tmp_path / "papers" / "bees.md").write_text(bees)
    (tmp_path / "papers" / "wasps.md").write_text("# Wasps\n\nWasps build nests of paper.\n")
    monkeypatch.setenv("STLIB_HOME", str(home))
    monkeypatch.chdir(tmp_path)


def test_three_ways_on_the_command_line(papers):
    page, bulk, loop = blocks(README, "Four ways to use it", "sh")
    index, ui = page.strip().splitlines()
    assert "2 added" in run_commands(index)
    command = ui.partition("#")[0].split()
    assert command == ["stlib", "ui"]
    said = run_commands(bulk)
    assert said.count("1. Bees") == 2 and "2 documents in 2 files" in said
    said = run_commands(loop)
    assert "bees.md has grade 3" in said and "1 for 1 question" in said
    assert "everything stays as it is" in said  # one question is too few to learn from


def test_the_page_of_the_first_way_answers(papers):
    port = free_port()
    command = [
        sys.executable,
        "-c",
        "from app.cli import main; main()",
        "ui",
        "--no-browser",
        "--port",
        str(port),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"Search page: http://127.0.0.1:{port}")
        assert is_healthy("127.0.0.1", port)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        process.stdout.close()


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
