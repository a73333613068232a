"""Parsing in a child process: the same answers, and a child that dies costs one file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from indexing.documents import Document, Skipped, isolate, read_paths
from indexing.documents.frames import line_from_file
from indexing.documents.isolate import IsolatedReader
from indexing.documents.walk import plan_files
from indexing.errors import IndexingError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are those of POSIX")

ROWS = 20_000


@pytest.fixture
def folder(tmp_path):
    """a.txt, a large b.jsonl that no pipe and no queue holds at once, c.txt, d.html."""
    (tmp_path / "a.txt").write_text("first")
    with (tmp_path / "b.jsonl").open("w") as stream:
        for number in range(ROWS):
            stream.write(json.dumps({"id": f"b{number}", "text": f"{number} " * 100}) + "\n")
    (tmp_path / "c.txt").write_text("third")
    (tmp_path / "d.html").write_text("<title>T</title><p>fourth")
    return tmp_path


def row(number: int) -> Document:
    return Document(f"b{number}", f"{number} " * 100)


AFTER = [Document("c.txt", "third"), Document("d.html", "fourth", "T")]


def read_and_hurt(folder: Path, signum: int, time_limit: float = 60.0) -> list[Document | Skipped]:
    """Read the folder; while its large file is being read, send the child a signal."""
    with IsolatedReader(time_limit=time_limit) as reader:
        items = reader.read(plan_files([folder]).files)
        found = [next(items) for _ in range(100)]
        os.kill(reader.pid, signum)
        return found + list(items)


def test_the_answers_are_those_of_reading_here(folder, tmp_path):
    (tmp_path / "e.csv").write_bytes(b"id,text,n\n1,caf\xe9,5\n2\n")
    (tmp_path / "f.jsonl").write_text('{"id": "s", "text": "a\\ud800b\\u0000c", "t": ["\\udfff"]}\n{')
    (tmp_path / "g.txt").write_bytes(b"\x00\x01")
    (tmp_path / "h.parquet").write_bytes(b"PAR1 torn")
    isolated, here = list(read_paths([folder])), list(read_paths([folder], isolate=False))
    surrogates = isolated.index(Document("s", "a\ufffdb\ufffdc\n\nt: \ufffd", "", {"t": ["\ufffd"]}))
    assert isolated[:surrogates] + isolated[surrogates + 1 :] == here[:surrogates] + here[surrogates + 1 :]
    assert len(isolated) == 1 + ROWS + 2 + 2 + 2 + 1 + 1


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
def test_a_crash_costs_one_file(folder, signum):
    items = read_and_hurt(folder, signum)
    lost = next(position for position, item in enumerate(items) if isinstance(item, Skipped))
    kept = lost - 1
    assert 99 <= kept < ROWS  # the child was ahead by what pipe and queue hold, and no further
    assert items[:lost] == [Document("a.txt", "first"), *map(row, range(kept))]
    name = signal.Signals(signum).name
    reason = f"the parser crashed on this file ({name}); the {kept} documents read before are kept"
    assert items[lost] == Skipped(str(folder / "b.jsonl"), None, reason)
    assert items[lost + 1 :] == AFTER


def test_a_hang_costs_one_file(folder):
    items = read_and_hurt(folder, signal.SIGSTOP, time_limit=0.5)
    lost = next(position for position, item in enumerate(items) if isinstance(item, Skipped))
    stopped = "the parser made no progress in 0.5 s and was stopped"
    reason = f"{stopped}; the {lost - 1} documents read before are kept"
    assert items[lost] == Skipped(str(folder / "b.jsonl"), None, reason)
    assert items[lost + 1 :] == AFTER


def test_a_file_that_needs_too_much_memory_costs_one_file(folder):
    with (folder / "b.txt").open("wb") as stream:
        stream.write(b"a " * 50_000_000)
    with IsolatedReader(memory_limit=250 * 2**20) as reader:
        items = [item for item in reader.read(plan_files([folder]).files) if not item_of_b(item)]
    reason = "needs more memory to parse than one file is allowed"
    assert items == [Document("a.txt", "first"), Skipped(str(folder / "b.txt"), None, reason), *AFTER]


def item_of_b(item: Document | Skipped) -> bool:
    return isinstance(item, Document) and item.id.startswith("b")


def test_a_table_is_read_by_a_library_under_the_memory_limit(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install pyarrow")
    import pyarrow.parquet

    pyarrow.parquet.write_table(arrow.table({"id": ["a"], "text": ["one"]}), tmp_path / "a.parquet")
    assert list(read_paths([tmp_path])) == [Document("a", "one")]


def test_a_parser_that_burns_time_without_end_is_ended_by_the_system(tmp_path):
    (tmp_path / "a.txt").write_text("first")
    program = (
        "import indexing.documents.child as child, itertools; "
        "child.batches = lambda file: iter(lambda: sum(itertools.repeat(0)), 1); child.main(0, 0.1)"
    )
    line = line_from_file(plan_files([tmp_path]).files[0])
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    ) as child:
        child.stdin.write(line)
        child.stdin.flush()
        assert child.wait(timeout=60) == -signal.SIGXCPU


def test_many_small_files_come_in_order(tmp_path):
    for number in range(1000):
        (tmp_path / f"{number:04}.txt").write_text(f"text {number}")
    expected = [Document(f"{number:04}.txt", f"text {number}") for number in range(1000)]
    assert list(read_paths([tmp_path])) == expected


def test_a_child_that_does_not_start_is_one_error_and_gone(folder, monkeypatch):
    started = []
    start = isolate._start
    monkeypatch.setattr(isolate, "_start", lambda *limits: started.append(start(*limits)) or started[-1])
    monkeypatch.setattr(isolate, "_START_LIMIT", 0.001)
    with pytest.raises(IndexingError, match=r"could not be started \(no answer\); try with more free memory"):
        list(read_paths([folder / "a.txt"]))
    assert [process.poll() for process in started] == [-signal.SIGKILL]


def test_the_child_is_gone_when_reading_stops_early(folder):
    with IsolatedReader() as reader:
        items = reader.read(plan_files([folder]).files)
        next(items)
        pid = reader.pid
    assert ended(pid)


def test_the_child_does_not_outlive_a_killed_parent(folder):
    program = (
        "import sys; from indexing.documents.isolate import IsolatedReader; "
        "from indexing.documents.walk import plan_files; reader = IsolatedReader(); "
        "items = reader.read(plan_files([sys.argv[1]]).files); next(items); "
        "print(reader.pid, flush=True); sys.stdin.read()"
    )
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=root,
    ) as parent:
        pid = int(parent.stdout.readline())
        assert not ended(pid, wait=0)
        parent.kill()
    assert ended(pid)


def ended(pid: int, wait: float = 20.0) -> bool:
    deadline = time.monotonic() + wait
    while True:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return True  # dead, and not yet fetched by whoever inherited it
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)


def test_files_beside_the_documents_are_not_run_as_code(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "one"}')
    for name in ("json", "csv", "queue", "lxml", "indexing"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert list(read_paths([Path("a.jsonl")])) == [Document("1", "one")]
    assert not (tmp_path / "ran").exists()


def test_a_slow_consumer_is_no_hang_and_the_child_waits_for_it(folder):
    with IsolatedReader(time_limit=0.3) as reader:
        items = reader.read(plan_files([folder]).files)
        found = [next(items)]
        time.sleep(0.8)
        found += items
    assert found == [Document("a.txt", "first"), *map(row, range(ROWS)), *AFTER]


def test_nothing_is_left_running(folder):
    list(read_paths([folder]))
    assert [thread.name for thread in threading.enumerate() if thread.name == "parser-output"] == []


def test_the_child_needs_neither_torch_nor_numpy():
    program = (
        "import sys, indexing.documents.child; from indexing.documents.formats import html, markdown; "
        "print([name for name in ('torch', 'transformers', 'numpy', 'sqlalchemy') if name in sys.modules])"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout == "[]\n"


def test_a_process_may_end_in_the_middle_of_reading(folder):
    """An interpreter that is being torn down aborts, or hangs, if a pipe is closed that a thread reads."""
    program = (
        "import sys; from indexing.documents import read_paths;"
        f"items = read_paths([{str(folder)!r}]); print(next(items).id); sys.exit(3)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "a.txt\n", "")
