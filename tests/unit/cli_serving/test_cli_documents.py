"""`stlib show`, `export`, `delete --filter` and pages of answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import LockedError
from stlib.runtime import Encoder

ROOT = Path(__file__).resolve().parents[3]
EVIL = "\x1b]0;owned\x07\u202e\u2028\u2066"
ODD = [
    {"id": "odd\u2028id", "title": "", "text": f"  two lines\n\tof {EVIL}\r\nwheat  ", "metadata": {}},
    {
        "id": "full",
        "title": f"A {EVIL} title",
        "text": "barley and rye",
        "metadata": {"n": 1, "x": 0.5, "yes": True, "none": None, "tags": ["a", "b\u2029"], f"é{EVIL}": "ü"},
    },
    {"id": "title", "title": "only a title", "text": "", "metadata": {"id": "inner", "text": "not the text"}},
    {"id": "7", "title": "seven", "text": "seven " * 400, "metadata": {"big": 2**60}},
]


@pytest.fixture
def odd(home):
    """A collection of documents that are hard to write down."""
    with Collection.create("odd", home=home) as collection:
        collection.add(ODD)
        yield collection


def stored(collection):
    """Everything about its documents but where they lie."""
    return [(one.id, one.title, one.text, one.metadata) for one in collection.documents()]


def test_show_prints_a_document_as_it_is(stlib, notes):
    code, out, err = stlib("show", "notes", "n00003")
    shown, _, text = out.partition("  n: 3\n")
    assert (code, text, err) == (0, "  subject: music\n\nnote 3 about music\n", "")
    # The path is broken where the terminal ends.
    assert shown.replace("\n", "").replace(" ", "") == f"Note3idn00003file{notes}".replace(" ", "")
    code, out, err = stlib("show", "notes", "yeti", "n00003", "n00001", "--json")
    assert (code, err) == (1, "stlib: no document 'yeti' in 'notes'\n")
    documents = json.loads(out)["documents"]
    assert [one["id"] for one in documents] == ["n00003", "n00001"]
    assert documents[1] == {
        "id": "n00001",
        "title": "Note 1",
        "text": "note 1 about iron",
        "metadata": {"n": 1, "subject": "iron"},
    }


def test_show_keeps_lines_and_obeys_nothing(stlib, odd):
    code, out, err = stlib("show", "odd", "odd\u2028id")
    assert (code, err) == (0, "")
    assert out.endswith("\n\n  two lines\n    of \\x1b]0;owned\\x07\\u202e\\u2028\\u2066\nwheat  \n")
    assert "\x1b" not in stlib("show", "odd", "full", "title", "7")[1]


def test_export_and_index_give_the_same_collection(stlib, odd, home, tmp_path):
    code, out, err = stlib("export", "odd")
    assert (code, err) == (0, "")
    assert [list(json.loads(line)) for line in out.splitlines()] == [["id", "title", "text", "metadata"]] * 4
    path = tmp_path / "exported.jsonl"
    path.write_text(out, encoding="utf-8")
    assert stlib("index", "again", path)[0] == 0
    with Collection.open("again", home=home) as again:
        assert stored(again) == stored(odd)
        for query in ("barley", "wheat", "only a title", "seven"):
            found = [(r.id, r.score, r.span) for r in odd.search(query)]
            assert [(r.id, r.score, r.span) for r in again.search(query)] == found
    assert stlib("export", "again")[1] == out


def test_metadata_of_every_kind_survives_export_and_index(stlib, home, tmp_path):
    metadata = {
        "day": date(2024, 5, 1),
        "at": datetime(2024, 5, 1, 10, tzinfo=timezone.utc),
        "price": Decimal("2.50"),
        "mixed": [1, 0.5, "a", None, True, {"b": [[], {}]}],
        "nested": {"city": {"name": "Köln", "zip": 50667}, "none": None, "$oid": "65f"},
        "numbers": [0.5] * 100,
    }
    kept = {**metadata, "day": "2024-05-01", "at": "2024-05-01T10:00:00Z", "price": 2.5}
    with Collection.create("kinds", home=home) as collection:
        collection.add([{"id": "oats", "text": "oats " * 300, "metadata": metadata}])
        assert [one.metadata for one in collection.documents()] == [kept]
        expected = stored(collection)
    path = tmp_path / "exported.jsonl"
    for arguments in ([], ["--vectors"]):
        path.write_text(stlib("export", "kinds", *arguments)[1], encoding="utf-8")
        assert stlib("index", f"again{len(arguments)}", path)[0] == 0
        with Collection.open(f"again{len(arguments)}", home=home) as again:
            assert stored(again) == expected


def test_export_what_a_filter_matches(stlib, notes):
    out = stlib("export", "notes", "--filter", "subject = 'honey' and n > 6")[1]
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["n00016", "n00026"]
    assert stlib("export", "notes", "--filter", "subject == ")[0] == 2


def test_export_with_the_vectors_as_they_are_stored(stlib, odd, home):
    rows = [json.loads(line) for line in stlib("export", "odd", "--vectors")[1].splitlines()]
    with Collection.create("exact", home=home, precision="float32") as exact:
        exact.add(ODD)
    encoder = Encoder.load(None)
    exported = [json.loads(line) for line in stlib("export", "exact", "--vectors")[1].splitlines()]
    for row, coarse in zip(exported, rows, strict=True):
        spans = [(one["start"], one["end"]) for one in row["vectors"]]
        title = f"{row['title']}\n" if row["title"] else ""
        expected = encoder.encode_document([title + row["text"][a:b] for a, b in spans])
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose([one["vector"] for one in row["vectors"]], expected, atol=1e-6)
        assert spans == [(one["start"], one["end"]) for one in coarse["vectors"]]
        pairs = zip(row["vectors"], coarse["vectors"], strict=True)
        assert min(np.dot(fine["vector"], rough["vector"]) for fine, rough in pairs) > 0.99
    assert len(next(row for row in exported if row["id"] == "7")["vectors"]) > 1


def test_vectors_of_two_generations_are_not_mixed(odd):
    reading = odd.documents(batch=1, passages=True)
    assert len(next(reading).passages) > 0
    odd.reindex(precision="binary")
    with pytest.raises(LockedError, match="reindexed while its vectors were read"):
        next(reading)
    assert [one.id for one in odd.documents(batch=1)] == sorted(row["id"] for row in ODD)


@pytest.mark.parametrize("command", ["export notes", "export notes --vectors", "show notes n00001"])
@pytest.mark.parametrize("end", ["| head -1 | cut -c1-16", ">&-"])
def test_its_reader_may_go_away(notes, home, command, end):
    run = f"{sys.executable} -c 'from app.cli import main; main()'"
    ran = subprocess.run(
        ["sh", "-c", f"{run} {command} {end}"],
        env={**os.environ, "STLIB_HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    first = "Note 1\n" if command.startswith("show") else '{"id": "n00000",\n'
    assert (ran.stdout, ran.stderr) == ("" if end == ">&-" else first, "")


def test_delete_by_filter(stlib, write_notes, home):
    assert stlib("index", "notes", write_notes(300))[0] == 0
    assert stlib("delete", "notes", "--filter", "subject = 'honey'") == (
        0,
        "deleted 30 documents of 300 from 'notes'\n",
        "",
    )
    assert stlib("delete", "notes", "--filter", "n >= 100") == (
        2,
        "",
        "stlib: deleting 180 of 270 documents needs --yes, or a terminal to ask in"
        " (see `stlib delete --help`)\n",
    )
    assert stlib("delete", "notes", "--filter", "n >= 100", "--yes")[:2] == (
        0,
        "deleted 180 documents of 270 from 'notes'\n",
    )
    assert stlib("delete", "notes", "--filter", "n >= 0")[0] == 2  # all of them
    assert stlib("delete", "notes", "--filter", "n = 7") == (0, "deleted 1 document of 90 from 'notes'\n", "")
    assert stlib("delete", "notes", "--filter", "n = 7")[1] == "deleted 0 documents of 89 from 'notes'\n"
    with Collection.open("notes", home=home) as collection:
        kept = {f"n{n:05}" for n in range(100) if n % 10 != 6 and n != 7}
        assert {one.id for one in collection.documents()} == kept
        assert collection.verify().clean


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["n00001", "--filter", "n = 1"], "give ids or --filter, not both"),
        (["--filter", " ", "--yes"], "the filter is empty, and would match every document"),
        (["--filter", "n = ", "--yes"], "expected a value"),
    ],
)
def test_delete_with_an_odd_filter_deletes_nothing(stlib, notes, options, message, home):
    code, out, err = stlib("delete", "notes", *options)
    assert (code, out) == (2, "") and message in err
    with Collection.open("notes", home=home) as collection:
        assert len(collection) == 30


def test_pages_put_together_are_the_long_answer(stlib, notes, answers):
    whole = answers("a note about music", "-k", 30)
    pages = [answers("a note about music", "-k", 12, "--offset", offset) for offset in (0, 12, 24)]
    assert [len(page) for page in pages] == [12, 12, 6]
    assert pages[0] + pages[1] + pages[2] == whole
    assert stlib("search", "notes", "music", "-k", 2, "--offset", 3)[1].startswith("4. ")
    assert stlib("search", "notes", "music", "--offset", 30)[1].startswith(
        "no results after the first 30 in "
    )
    assert stlib("search", "notes", "music", "--offset", -1)[0] == 2
