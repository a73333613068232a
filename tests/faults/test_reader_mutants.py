"""Every reader, on thousands of damaged files: a document or a reason comes out, and nothing else happens.

No crash of this process, no hang, no more memory than a child may have. `make faults` reads 2,000 mutants of
each format, `make test` a few dozen; a number in a failure makes the same mutants again.
"""

from __future__ import annotations

import json
import random
import resource
from collections import Counter
from pathlib import Path

import pytest

from indexing.documents.formats.registry import EXTENSIONS, NAMES, format_of
from indexing.documents.isolate import IsolatedReader
from indexing.documents.model import Document, Skipped, bounded_title
from indexing.documents.options import ReadOptions
from indexing.documents.source import SourceFile
from indexing.errors import BadInput
from tests.faults.mutants import mutate
from tests.faults.reader_seeds import SEEDS

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")]

FORMATS = sorted({*EXTENSIONS.values(), *NAMES.values()})
MEMORY = 2 * 2**30
SECONDS = 30.0
GROWTH = 300 * 2**20
MOST_LOST = 0.005  # of the files may cost a child, which costs them alone


@pytest.fixture
def count(pytestconfig) -> int:
    return pytestconfig.getoption("mutants")


def seeds_of(format_: str) -> dict[str, bytes]:
    return {name: data for name, data in SEEDS.items() if format_of(name) == format_}


def write_mutants(folder: Path, format_: str, count: int) -> list[SourceFile]:
    """`count` files, each called by its number: 0-a.pdf, 1-b.pdf, 2-a.pdf."""
    seeds = seeds_of(format_)
    files = []
    for number in range(count):
        name, data = list(seeds.items())[number % len(seeds)]
        rng = random.Random(f"{format_} {number}")
        files.append(write(folder, f"{number}-{name}", mutate(data, list(seeds.values()), rng), format_))
    return files


def write(folder: Path, name: str, data: bytes, format_: str) -> SourceFile:
    path = folder / name
    path.write_bytes(data)
    options = ReadOptions(archives=True)
    return SourceFile(str(path), name, name, format_, size=len(data), root=str(folder), options=options)


def read_all(files: list[SourceFile]) -> dict[str, list[Document | Skipped]]:
    """What came out of each file."""
    found: dict[str, list[Document | Skipped]] = {file.name: [] for file in files}
    with IsolatedReader(
        memory_limit=MEMORY,
        time_limit=SECONDS,
        on_frame=lambda file, frame: found[file.name].extend(frame.items),
    ) as reader:
        for item in reader.read(files):
            if isinstance(item, Skipped) and item.source in found:
                found[item.source].append(item)
    return found


def check(item: Document | Skipped) -> None:
    if isinstance(item, Skipped):
        assert item.reason.strip()
        return
    assert item.text.strip()
    stored = Document.from_any(item)
    assert (stored.id, stored.text, stored.title) == (item.id, item.text, bounded_title(item.title))
    item.text.encode(), item.id.encode()
    json.dumps(item.metadata, allow_nan=False)
    starts = [mark.start for mark in item.marks]
    assert starts == sorted(starts)
    assert not starts or (starts[0] >= 0 and starts[-1] <= len(item.text))


@pytest.mark.parametrize("format_", FORMATS)
def test_seeds_are_valid(format_, tmp_path):
    assert seeds_of(format_), f"a file of the format {format_!r} is missing in reader_seeds.py"
    files = [write(tmp_path, name, data, format_) for name, data in seeds_of(format_).items()]
    for name, items in read_all(files).items():
        assert any(isinstance(item, Document) for item in items), (name, items)
        for item in items:
            check(item)


@pytest.mark.parametrize("format_", FORMATS)
def test_mutants_end_as_documents_or_reasons(format_, tmp_path, count):
    files = write_mutants(tmp_path, format_, count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = read_all(files)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < GROWTH
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 < MEMORY + GROWTH
    wrong = []
    for name, items in found.items():
        try:
            assert items, "neither a document nor a reason"
            for item in items:
                check(item)
        except (AssertionError, BadInput, ValueError) as error:
            wrong.append(f"{name}: {error!r:.300}")
    assert wrong == []
    lost = [
        (name, item.reason)
        for name, items in found.items()
        for item in items
        if isinstance(item, Skipped) and "the parser" in item.reason
    ]
    assert len(lost) <= MOST_LOST * count, Counter(reason for _, reason in lost).most_common(5) + lost[:5]


def test_mutants_are_the_same_each_time():
    data = SEEDS["a.html"]
    made = [mutate(data, [data], random.Random(number)) for number in range(50)]
    assert made == [mutate(data, [data], random.Random(number)) for number in range(50)]
    assert len(set(made)) > 40
