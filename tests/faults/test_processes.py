"""One writer, and processes that search, publish and verify beside it: nobody fails, nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from indexing import Collection

pytestmark = pytest.mark.faults

WRITE = """
for first in range(0, 4800, 600):
    collection.add({"id": f"d{i % 3000}", "text": f"pear {i}"} for i in range(first, first + 600))
    collection.delete([f"d{first % 3000}"])
done.touch()
"""
BESIDE = {
    "searches": """
while not done.exists():
    for mode in ("semantic", "keyword", "hybrid"):
        assert collection.search("apple", 20, mode=mode).results, mode
""",
    "publishes": """
while not done.exists():
    collection.refresh()
""",
    "verifies": """
while not done.exists():
    report = collection.verify()
    assert report.clean, report
""",
}
BEGIN = """
import sys
from pathlib import Path
from indexing import Collection
collection, done = Collection.open("c", home=sys.argv[1]), Path(sys.argv[1]) / "done"
"""


def start(code: str, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + code, str(home)], stderr=subprocess.PIPE, text=True
    )


def test_a_writer_beside_readers(tmp_path):
    with Collection.create("c", home=tmp_path) as collection:
        collection.add({"id": f"a{i}", "text": f"apple {i}"} for i in range(600))
    processes = {name: start(code, tmp_path) for name, code in BESIDE.items()}
    writer = start(WRITE, tmp_path)
    try:
        assert writer.communicate(timeout=120)[1] == ""
        for name, process in processes.items():
            assert process.communicate(timeout=60)[1] == "", name
    finally:
        for process in (writer, *processes.values()):
            process.kill()
            process.communicate()
    with Collection.open("c", home=tmp_path) as collection:
        assert collection.verify().clean
        found = collection.search("pear", 5000, mode="keyword").results
        assert len(found) == 3000 - 5  # batches begin at five ids, and delete theirs
