"""Text for terminals and people."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import click
import pytest

from app.cli.terminal import echo, echo_json, echo_rows, highlight, style, table, warn, wrap
from app.settings import Location
from app.text import caret, plain
from app.wording import format_bytes, format_count, format_duration, format_milliseconds

ON, OFF = "\x1b[1;33m", "\x1b[0m"


def test_wrap_keeps_words_whole_and_collapses_space():
    assert wrap("one  two\n three four", width=11, indent="  ") == ["  one two", "  three", "  four"]


def test_wrap_breaks_a_word_longer_than_the_line():
    assert wrap("abcdefgh ij", width=5) == ["abcde", "fgh", "ij"]


def test_wrap_cuts_with_an_ellipsis():
    assert wrap("aaaa bbbb cccc dddd", width=9, lines=1) == ["aaaa bb …"]


def test_wrap_marks_spans_across_lines():
    assert wrap("see run now", width=80, spans=[(4, 7)]) == [f"see {ON}run{OFF} now"]
    assert wrap("aa bb cc", width=5, spans=[(3, 8)]) == [f"aa {ON}bb{OFF}", f"{ON}cc{OFF}"]


def test_wrap_counts_wide_characters_as_two_columns():
    assert wrap("日本語 日本語", width=7) == ["日本語", "日本語"]


def test_a_terminal_without_unicode_shows_question_marks(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", out)
    echo("café … 日本 \udcff")
    assert out.buffer.getvalue() == "café ? ?? ?\n".encode("latin-1")


def test_a_document_cannot_steer_the_terminal():
    assert wrap("a\x1b[31mb\x07c", width=80) == [r"a\x1b[31mb\x07c"]
    assert wrap("abc\u202ed", width=6, spans=[(2, 4)]) == [f"ab{ON}c\\u2{OFF}", f"{ON}02e{OFF}d"]


@pytest.mark.parametrize(
    ("spans", "pieces"),
    [
        ([], [("abcdef", False)]),
        ([(2, 4)], [("ab", False), ("cd", True), ("ef", False)]),
        ([(3, 9), (0, 2), (1, 3)], [("ab", True), ("c", True), ("def", True)]),
    ],
)
def test_highlight_pieces(spans, pieces):
    assert highlight("abcdef", spans) == pieces


def test_what_is_added_to_a_line_is_made_plain(capsys):
    line = "\x1b[5m" + style("a\x1bb", bold=True) + "\u202e"
    echo(line)
    assert str(line) == "\\x1b[5m\x1b[1ma\\x1bb\x1b[0m\\u202e"
    echo(f"{style('bold', bold=True)}\n")  # no Line any more: nothing of it is obeyed
    echo("\x1b[31mred\n")
    warn("\x9b31mred\n")
    assert capsys.readouterr() == (
        "\\x1b[5ma\\x1bb\\u202e\n\\x1b[1mbold\\x1b[0m\\n\n\\x1b[31mred\\n\n",
        "\\x9b31mred\\n\n",
    )


def test_a_table_counts_what_it_shows():
    assert table(["name", "n"], [["a\x1bb", "1"]])[1] == r"a\x1bb  1"


def test_json_says_the_same_without_a_character_that_is_obeyed(capsys):
    value = {"\x9b\u202e": ["\x1b", "\x7f", "\ufeff", "\U000e0041", "\udcff", "é日本\u200d", 'a\n\t"\\']}
    echo_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert plain(out) == out[:-1] + r"\n"
    assert "é日本\u200d" in out


def test_table_aligns_columns():
    lines = [
        click.unstyle(line) for line in table(["name", "n"], [["a", "1,000"], ["longer", "2"]], right=[1])
    ]
    assert lines == ["name        n", "a       1,000", "longer      2"]


def test_caret_stands_under_the_character():
    assert caret("a\tb = ", 6) == "  a b = \n        ^"
    assert caret("\x1ba = ?", 5) == "  \\x1ba = ?\n" + " " * 10 + "^"


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (format_bytes, 512, "512 bytes"),
        (format_bytes, 1536, "1.5 KiB"),
        (format_bytes, 12_897_484, "12.3 MiB"),
        (format_bytes, 5 * 1024**3, "5.0 GiB"),
        (format_duration, 0.4231, "0.42 s"),
        (format_duration, 12.34, "12.3 s"),
        (format_duration, 200, "3 min 20 s"),
        (format_duration, 7500, "2 h 05 min"),
        (format_milliseconds, 0.42, "0.4 ms"),
        (format_milliseconds, 164.4, "164 ms"),
        (format_milliseconds, 1050, "1.1 s"),
    ],
)
def test_numbers_as_people_read_them(function, value, text):
    assert function(value) == text


def test_counts():
    assert [format_count(n, "document") for n in (0, 1, 6894)] == [
        "0 documents",
        "1 document",
        "6,894 documents",
    ]


def test_a_location_survives_the_environment_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    location = Location(Path("data"), "sqlite:///notes.db")
    variables = location.to_environment()
    assert variables == {"STLIB_HOME": str(tmp_path / "data"), "STLIB_DB": f"sqlite:///{tmp_path}/notes.db"}
    assert Location.from_environment(variables) == Location(
        tmp_path / "data", f"sqlite:///{tmp_path}/notes.db"
    )


def test_help_imports_nothing_heavy_and_search_neither_torch_nor_streamlit():
    code = (
        "import sys; from app.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)"
    )

    def imported(*arguments):
        ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
        return {name.partition(".")[0] for name in ran.stderr.split()}

    heavy = {"torch", "transformers", "streamlit", "faiss", "sqlalchemy", "numpy", "tantivy", "alembic"}
    assert not imported("--help") & heavy
    assert not imported("search", "--help") & heavy
    assert not imported("search", "none", "x") & {"torch", "transformers", "streamlit", "alembic"}


def test_a_long_label_keeps_apart_from_its_value(capsys):
    echo_rows([("learned from", "1 question"), ("gate", "passed")])
    assert capsys.readouterr().out == "  learned from 1 question\n  gate         passed\n"
