"""indexing/SIZING.md says what `stlib plan` says, and its examples run."""

from __future__ import annotations

import doctest
import importlib.util
import json
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.wording import format_decimal, format_hours, format_milliseconds
from indexing.sizing.measured import measured
from tests.blocks import blocks, run_commands

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "indexing" / "SIZING.md"


@pytest.fixture(scope="module")
def maker():
    """The program that makes the tables of the page."""
    spec = importlib.util.spec_from_file_location("sizing_page", ROOT / "tests/benchmarks/sizing_page.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["sizing_page"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["sizing_page"]


def test_tables_are_those_that_the_sums_make(maker):
    text = PAGE.read_text("utf-8")
    assert maker.with_tables(text) == text, "run: python tests/benchmarks/sizing_page.py"


def test_the_sums_of_the_page_are_those_of_the_command(maker, capsys):
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]
    rows = [[cell.strip(" *").rstrip("*") for cell in line.strip("|").split("|")] for line in lines]
    for documents in (1_000_000, 10_000_000, 41_000_000):
        with pytest.raises(SystemExit):
            main(["plan", "--documents", str(documents), "--length", "500", "--json"])
        for one in json.loads(capsys.readouterr().out)["setups"]:
            [row] = [row for row in rows if row[:2] == [f"{documents:,}", maker.TITLES[one["setup"]]]]
            assert row[2:] == [
                format_hours(one["embedding_seconds"]),
                format_hours(one["view_seconds"]),
                format_decimal(one["disk_bytes"]),
                format_decimal(one["memory_bytes"]),
                format_decimal(one["memory_each"]) if one["memory_each"] else "",
                format_milliseconds(one["search_ms"]),
            ]


def test_figures_named_in_the_text_are_those_that_were_measured():
    text = " ".join(PAGE.read_text("utf-8").split())
    known = measured()
    assert f"Where nothing is measured the sums take {known['ray']['assumed']}" in text
    assert f"for each of {known['milvus']['connections']} links" in text


def test_commands_run():
    [commands] = blocks(PAGE, "How large, how long, how fast", "sh")
    said = run_commands(commands)
    assert (
        "41M documents of 500 characters" in said
        and "my-model, 768 dimensions, 20 passages/s a core (given)" in said
    )


def test_the_session_prints_what_it_says():
    [session] = blocks(PAGE, "How large, how long, how fast", "python")
    parsed = doctest.DocTestParser().get_doctest(session, {}, "SIZING", str(PAGE), 0)
    assert doctest.DocTestRunner(verbose=False).run(parsed).failed == 0
