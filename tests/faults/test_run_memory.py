"""However large one document is, the run that adds it takes little memory besides."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from indexing.documents.model import MAX_TITLE, bounded_title
from indexing.embed import Titled, chunk_text, passages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="address space is limited on Linux only")

# The limit begins where the process stands when the collection is open: mapped files and libraries are in it.
ADD = """
import resource, sys
from pathlib import Path
from indexing import Collection
from indexing.documents.reader import read_paths
from indexing.models.encoders import load_encoder

load_encoder(None).encode(["a"])
with Collection.create("c", home=sys.argv[2]) as collection:
    collection.add([{"id": "first", "text": "what loads the rest"}])
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[3]) * 2**20,) * 2)
    report = collection.add(read_paths([sys.argv[1]]), on_error="skip")
    print(report.added, report.chunks)
"""


def add_within(folder, mib: int) -> list[int]:
    """Documents and passages that a run adds with so much memory more than it begins with."""
    command = [sys.executable, "-c", ADD, str(folder / "in"), str(folder / "home"), str(mib)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [int(number) for number in done.stdout.split()]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path


def test_one_line_of_megabytes(folder):
    (folder / "in" / "a.txt").write_text("the quick brown fox jumps over the lazy dog and " * 170_000)
    assert add_within(folder, 250) == [1, 6641]


def test_a_million_lines(folder):
    (folder / "in" / "a.txt").write_text("a\n" * 1_000_000)
    assert add_within(folder, 250) == [1, 3907]


def test_a_heading_of_most_of_a_megabyte(folder):
    """It was put before each passage, which made 546 million characters of 800,000."""
    (folder / "in" / "a.md").write_text("# " + "long heading " * 60_000 + "\n\nBread rises.\n")
    documents, chunks = add_within(folder, 250)
    assert documents == 1 and chunks == 469


def test_rows_with_much_metadata(folder):
    """A thousand rows of short texts are one batch; with their pictures these are 90 MB."""
    with (folder / "in" / "a.jsonl").open("w") as lines:
        for row in range(150):
            line = {"id": str(row), "text": "Bread rises.", "picture": f"{row}" + "x" * 600_000}
            lines.write(json.dumps(line) + "\n")
    assert add_within(folder, 110) == [150, 150]


@pytest.mark.faults
def test_sixty_megabytes(folder, pytestconfig):
    lines = 770_000 if pytestconfig.getoption("kills") > 20 else 77_000
    line = "Bread rises because yeast makes gas. It takes time, warmth and some patience!\n"
    (folder / "in" / "a.txt").write_text(line * lines)
    assert add_within(folder, 150 + 8 * lines * len(line) // 2**20) == [1, 5500 * lines // 77_000]


def test_a_title_before_each_passage_is_bounded():
    assert chunk_text("word " * 1000, "Bread.") == bounded_title("word " * 1000) + "\nBread."
    text = "a" * 100
    (found,) = passages([Titled("x" * 10_000, text)], [[(0, 100)]])
    assert len(found) == MAX_TITLE + 101
