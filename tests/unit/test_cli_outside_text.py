"""Names and texts from outside reach the terminal as text: nothing of them is obeyed, whatever says them."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli import main
from app.text import plain
from indexing import Collection

ROOT = Path(__file__).resolve().parents[2]
EVIL = "\x1b]0;owned\x07\x1b[31m\x9b5m\u202e\u2066\u200b\ufeff\x7f"


@pytest.fixture
def stlib(capsys, monkeypatch, home):
    """Runs a command line; returns (exit code, stdout, stderr), and sees to it that both are plain."""
    monkeypatch.setenv("STLIB_HOME", str(home))

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        for line in (out + err).split("\n"):
            assert plain(line, prose=True) == line
        return end.value.code, out, err

    return run


@pytest.fixture(params=["80", None])
def wide(request, monkeypatch):
    """A terminal of 80 columns, and a pipe."""
    if request.param is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", request.param)


def test_files_that_are_skipped_and_noted(stlib, tmp_path, wide):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / f"skipped{EVIL}\n.txt").write_bytes(bytes(range(256)) * 8)
    (folder / f"kept{EVIL}.txt").write_text(f"bread {EVIL}")
    (folder / f"other.{EVIL}").write_text("x")
    (folder / f"table{EVIL}.csv").write_text(f"id,text,f{EVIL}\na,apples,{EVIL}\nb\n")
    code, out, err = stlib("index", "notes", folder)
    assert code == 1
    assert r"skipped\x1b]0;owned\x07\x1b[31m\x9b5m\u202e\u2066\u200b\ufeff\x7f\n.txt: looks binary" in err
    assert r"(.\x1b]0;owned" in " ".join(out.split())
    for command in (
        ["info", "notes"],
        ["search", "notes", "bread"],
        ["search", "notes", "apples", "--explain"],
    ):
        assert stlib(*command)[0] == 0
    assert r"kept\x1b]0;owned" in stlib("search", "notes", "bread")[1]


def test_json_stays_json(stlib, tmp_path):
    path = tmp_path / f"{EVIL}.jsonl"
    path.write_text(
        "".join(json.dumps({"id": EVIL + end, "text": "bread", EVIL: EVIL}) + "\n" for end in "ab")
    )
    with path.open("a") as file:
        file.write("{broken\n")
    summary = json.loads(stlib("index", "notes", path, "--json")[1])
    assert [skip["source"] for skip in summary["skips"]] == [str(path)]
    found = json.loads(stlib("search", "notes", "bread", "--json")[1])["results"]
    assert sorted(result["id"] for result in found) == [EVIL + "a", EVIL + "b"]
    assert list(json.loads(stlib("info", "notes", "--json")[1])["metadata"]) == [EVIL]


def test_fields_filters_and_ids(stlib, home, wide):
    with Collection.create("notes", home=home) as collection:
        collection.add({"id": f"{EVIL}{i}", "text": "bread", "metadata": {EVIL: EVIL}} for i in range(2))
    assert r"\x1b]0;owned" in stlib("info", "notes")[1]
    assert stlib("search", "notes", "x", "--filter", f"a{EVIL} ~ 3")[0] == 2
    assert stlib("search", "notes", "x", "--filter", f'"{EVIL}" = 1 and "{EVIL}y" = 1')[0] == 0
    assert stlib("delete", "notes", f"no{EVIL}")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["index", f"name{EVIL}", "."],
        ["index", "notes", f"missing{EVIL}"],
        ["index", "notes", ".", "--model", f"./model{EVIL}"],
        ["search", f"none{EVIL}", "x"],
        ["search", "notes", "x", "--mode", EVIL],
        ["search", "notes", "x", "-k", EVIL],
        ["search", "notes", "x", f"--{EVIL}"],
        ["plan", "--documents", EVIL, "--length", "5"],
        ["plan", "--documents", "5", "--length", "5", "--model", f"model{EVIL}"],
        ["list", "--db", f"mysql://{EVIL}"],
        ["list", "--db", f"sqlite:///{EVIL}/x.db"],
        ["evaluate", "notes", f"beir{EVIL}"],
        [f"command{EVIL}"],
    ],
)
def test_errors(stlib, home, arguments, monkeypatch, tmp_path):
    with Collection.create("notes", home=home):
        pass
    monkeypatch.chdir(tmp_path)
    stlib(*arguments)


def test_collections_with_names_that_no_command_makes(stlib, home, wide):
    folder = home / "collections" / f"torn{EVIL}\n"
    folder.mkdir(parents=True)
    (folder / "catalog.sqlite").write_bytes(b"no database " * 100)
    code, _, err = stlib("list")
    assert code == 1 and r"torn\x1b]0;owned" in err
    listed = json.loads(stlib("list", "--json")[1])["damaged"]
    assert [problem["name"] for problem in listed] == [folder.name]
    assert r"torn\x1b]0;owned" in stlib("info", "notes")[2]


def test_log_records_and_the_traceback_of_a_bug():
    code = (
        "import logging, click; from app.cli.failures import run\n"
        "@click.command()\n"
        "def command():\n"
        f"    logging.getLogger('x').warning('seen %s', {EVIL!r})\n"
        f"    raise ValueError({EVIL!r})\n"
        "run(command, 'x', [])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    lines = ran.stderr.split("\n")
    assert [plain(line) for line in lines] == lines
    assert ran.returncode == 1 and lines[1].startswith("Traceback")
    assert lines[0] == "seen " + plain(EVIL) and lines[-2] == "ValueError: " + plain(EVIL)


def test_what_a_log_record_says_is_written_once(stlib, home):
    before = list(logging.getLogger().handlers)
    stlib("list")
    stlib("list")
    assert len(logging.getLogger().handlers) <= len(before) + 1


def test_everything_is_written_through_one_door():
    """`app.cli.terminal` makes it plain; nothing else in `app` writes to the terminal."""
    forbidden = {
        ("click", name) for name in ("echo", "secho", "echo_via_pager", "confirm", "prompt", "pause")
    }
    forbidden |= {("tqdm", "write"), ("stdout", "write"), ("stderr", "write"), ("sys", "displayhook")}
    found = []
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Name) and called.id in ("print", "echo_via_pager", "secho"):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
            if isinstance(called, ast.Attribute):
                owner = (
                    called.value.attr
                    if isinstance(called.value, ast.Attribute)
                    else getattr(called.value, "id", "")
                )
                if (owner, called.attr) in forbidden:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert {place.partition(":")[0] for place in found} == {"app/cli/terminal.py"}
