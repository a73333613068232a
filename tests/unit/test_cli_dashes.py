"""Questions and ids that begin with a dash, and JSON in UTF-8 whatever the terminal is."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from app.cli import main
from app.cli.terminal import echo_json
from indexing import Collection

TEXTS = {
    "-5 degrees": "Water freezes below zero, at -5 degrees too.",
    "b": "Bread rises.",
    "--c d": "Café 日本",
}


@pytest.fixture
def notes(home, monkeypatch):
    monkeypatch.setenv("STLIB_HOME", str(home))
    with Collection.create("notes", home=home) as collection:
        collection.add([{"id": id_, "text": text} for id_, text in TEXTS.items()])


@pytest.fixture
def stlib(capsys, notes):
    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        return (end.value.code, *capsys.readouterr())

    return run


@pytest.mark.parametrize("question", ["-5 degrees", "-5", "--5°", "-height of a tower", "-k best", "-(x)"])
@pytest.mark.parametrize("order", ["last", "first"])
def test_a_question_may_begin_with_a_dash(stlib, question, order):
    options = ["--json", "-k2"]
    arguments = [*options, "notes", question] if order == "last" else ["notes", question, *options]
    code, out, err = stlib("search", *arguments)
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["query"] == question
    assert len(found["results"]) == 2


def test_the_best_answer_is_about_it(stlib):
    assert json.loads(stlib("search", "notes", "-5 degrees", "--json")[1])["results"][0]["id"] == "-5 degrees"


def test_options_stay_options(stlib):
    assert "is not a valid integer" in stlib("search", "notes", "x", "-k", "-5 a")[2]
    assert "-5 is not in the range" in stlib("search", "notes", "x", "-k", "-5")[2]
    assert stlib("search", "notes", "x", "--filter=a = 'b c'")[0] == 0
    assert "'--mode'" in stlib("search", "notes", "x", "--moed", "keyword")[2]
    code, _, err = stlib("search", "notes", "-rf")
    assert code == 2
    assert "no such option '-r'" in err and "write two dashes before it: -- NAME QUERY" in err
    assert json.loads(stlib("search", "--json", "--", "notes", "-rf")[1])["query"] == "-rf"
    assert "unexpected extra argument (-5 degrees)" in stlib("search", "notes", "a", "-5 degrees")[2]


def test_every_command_that_takes_questions_or_ids(stlib):
    assert "Water freezes" in stlib("show", "notes", "-5 degrees")[1]
    assert "Café" in stlib("show", "notes", "--c d")[1]
    code, out, _ = stlib("feedback", "judge", "notes", "-5 degrees", "-5 degrees", "--up", "--json")
    assert code == 0
    assert (json.loads(out)["query"], json.loads(out)["document"]) == ("-5 degrees", "-5 degrees")
    code, out, _ = stlib("feedback", "erase", "notes", "--question", "-5 degrees", "--yes", "--json")
    assert code == 0
    assert json.loads(out)["sayings"] == 1
    assert stlib("delete", "notes", "-5 degrees", "--yes")[0] == 0
    assert stlib("show", "notes", "-5 degrees")[0] == 1


def test_json_is_utf_8_whatever_the_terminal_is(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    monkeypatch.setattr("sys.stdout", out)
    echo_json({"text": "café 日本 \udcff"})
    assert out.buffer.getvalue() == '{"text": "café 日本 \\udcff"}\n'.encode()


def test_json_of_a_command_in_a_terminal_of_ascii(notes, home):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "STLIB_HOME": str(home)}
    code = "from app.cli import main; main(['show', 'notes', '--c d', '--json'])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert "Café 日本" in done.stdout.decode()
