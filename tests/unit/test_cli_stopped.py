"""Commands that are stopped, or whose output is cut off: quiet, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from indexing import Collection

ROOT = Path(__file__).resolve().parents[2]


pytestmark = pytest.mark.usefixtures("ctrl_c_is_not_ignored")


@pytest.fixture
def notes(home, tmp_path):
    """A file of two notes, and the collection `notes` of them."""
    path = tmp_path / "notes.jsonl"
    path.write_text('{"id": "a", "text": "apples"}\n{"id": "b", "text": "bread"}\n')
    with Collection.create("notes", home=home) as collection:
        collection.add([{"id": "a", "text": "apples"}, {"id": "b", "text": "bread"}])
    return path


def test_ctrl_c_says_how_to_go_on(tmp_path, home):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(
        "".join(json.dumps({"id": str(i), "text": "bread " * 200}) + "\n" for i in range(20_000))
    )
    run = [sys.executable, "-c", "from app.cli import main; main()"]
    environment = {**os.environ, "STLIB_HOME": str(home)}
    process = subprocess.Popen(
        [*run, "index", "notes", str(corpus)],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    _wait_for_documents(home, process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    message = err.splitlines()[-1]
    assert message.startswith("stlib: stopped; ") and message.endswith(
        "stay committed: run it again to go on"
    )
    assert "Traceback" not in err
    verified = subprocess.run(
        [*run, "verify", "notes"], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert verified.stdout.startswith("notes: clean, ")


def _wait_for_documents(home, process):
    """Until the first batch is committed."""
    catalog = home / "collections" / "notes" / "catalog.sqlite"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if catalog.exists():
            with closing(sqlite3.connect(f"file:{catalog}?mode=ro", uri=True)) as connection:
                try:
                    if connection.execute("SELECT count(*) FROM document").fetchone()[0]:
                        return
                except sqlite3.OperationalError:
                    pass  # the tables are not made yet
        time.sleep(0.02)
    pytest.fail(f"nothing was committed: {process.communicate()}")


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.5, 1.0, 1.8])
def test_ctrl_c_at_any_moment_is_one_line_and_loses_nothing(notes, home, seconds):
    """While modules are imported, while files are read, embedded and committed, while it ends."""
    code = "from app.cli import main; print('begun', flush=True); main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "index", "notes", str(notes)],
        env={**os.environ, "STLIB_HOME": str(home)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout.readline() == "begun\n"
    time.sleep(seconds)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130, -signal.SIGINT), err
    assert "Traceback" not in err, err
    assert len(err.split("\n\n")[-1].strip().splitlines()) <= 1, (
        err
    )  # after the line that a terminal shows ^C in
    with Collection.open("notes", home=home) as collection:
        report = collection.verify()
        assert report.clean and report.documents == 2


def test_ctrl_c_in_a_finalizer_is_not_lost():
    """Python prints an exception of a finalizer and goes on."""
    code = """
import os, signal, time
from app.cli import keep_interrupts

class Finalized:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)

keep_interrupts()
try:
    Finalized()
    time.sleep(10)
except KeyboardInterrupt:
    print("interrupted")
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("interrupted\n", "")


@pytest.mark.parametrize(
    "command",
    [
        "search notes food --json | true",
        "search notes food | true",
        "list | true",
        "index notes . 2>&1 | true",
        "list >&-",
        "search notes food >&-",
        "search no food 2>&-",
        "search no food >&- 2>&-",
    ],
)
def test_output_may_be_cut_off_or_closed(notes, home, command):
    run = f"{sys.executable} -c 'from app.cli import main; main()'"
    ran = subprocess.run(
        ["sh", "-c", f"{run} {command}"],
        env={**os.environ, "STLIB_HOME": str(home), "PYTHONPATH": str(ROOT)},
        cwd=notes.parent,
        capture_output=True,
        text=True,
    )
    assert (ran.stdout, ran.stderr) == ("", "")
