"""What a person knows to be in a file is found: each kind of file, packing and encoding, in one collection.

`tests/benchmarks/bench_formats.py` asks about all files, among thousands of others.
"""

from __future__ import annotations

import json

import pytest

from indexing import Collection
from indexing.documents.formats.registry import EXTENSIONS
from tests.people_files.asking import ask, index
from tests.people_files.facts import FILLERS
from tests.people_files.makers import MAKERS
from tests.people_files.plan import (
    UNMADE,
    plan_files,
    short_plan,
    title_words_asked,
    write_files,
)

OTHERS = 300


@pytest.fixture(scope="module")
def files():
    return short_plan()


@pytest.fixture(scope="module")
def asked(files, tmp_path_factory):
    """All questions, among rows that say what the files say around their answers."""
    folder = tmp_path_factory.mktemp("people")
    write_files(files, folder / "files")
    with Collection.create("people", home=folder / "home") as collection:
        rows = ({"id": str(n), "text": f"Entry {n}. {FILLERS[n % len(FILLERS)]}"} for n in range(OTHERS))
        collection.add(rows)
        index(collection, folder / "files")
        return ask(collection, folder / "files", files, "hybrid")


def test_each_question_finds_its_file_among_the_first_three(asked):
    missed = [(one.file.path, one.file.question, one.found) for one in asked if one.rank is None]
    assert json.dumps(missed, indent=1, ensure_ascii=False) == "[]"


def test_every_reader_has_a_file(files):
    assert {file.group for file in files} >= {*MAKERS, "packed", "attachment", "encoding", "name"}
    assert set(MAKERS) == {*EXTENSIONS.values(), "man", "unnamed"}


def test_all_files_are_of_every_extension_and_a_third_is_asked_about_in_other_words_than_its_title():
    planned = plan_files()
    assert len({file.path for file in planned}) == len(planned) >= 300
    known = {"." + file.path.rpartition("/")[2].rpartition(".")[2] for file in planned}
    assert {e for e in EXTENSIONS if e not in known} == UNMADE
    assert sum(not title_words_asked(file) for file in planned) >= len(planned) / 3
