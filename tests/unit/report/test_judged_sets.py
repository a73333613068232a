"""Judgments that visitors bring: what is kept, and what is refused."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from app.report.judged_sets import keep_judged_set, list_judged_sets, remove_judged_set
from app.settings import Location
from indexing.errors import BadInput
from indexing.evaluation import read_beir

QUERIES = b'{"_id": "1", "text": "who purrs"}\n'
QRELS = b"query-id\tcorpus-id\tscore\n1\tcat\t1\n"


@pytest.fixture
def location(home):
    return Location(home)


def zipped(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    data.seek(0)
    return [("set.zip", data)]


def test_a_zip_of_a_beir_folder_is_kept_without_its_corpus(location):
    files = {
        "x/queries.jsonl": QUERIES,
        "x/qrels/test.tsv": QRELS,
        "x/corpus.jsonl": b"{}",
        "../evil.tsv": b"x",
    }
    kept = keep_judged_set(location, "uuid", "animals", zipped(**files))
    assert kept.splits == ("test",)
    assert read_beir(kept.path, "test").qrels == {"1": {"cat": 1}}
    assert sorted(one.name for one in kept.path.rglob("*")) == ["qrels", "queries.jsonl", "test.tsv"]
    assert list_judged_sets(location, "uuid") == [kept]
    remove_judged_set(location, "uuid", "animals")
    assert list_judged_sets(location, "uuid") == []


def test_two_files_are_kept_as_well(location):
    files = [("my queries.jsonl", io.BytesIO(QUERIES)), ("C:\\x\\dev.tsv", io.BytesIO(QRELS))]
    assert keep_judged_set(location, "uuid", "two", files).splits == ("dev",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"queries.jsonl": QUERIES}, "there are no judgments"),
        ({"qrels/test.tsv": QRELS}, "there is no queries.jsonl"),
        ({"queries.jsonl": QUERIES, "qrels/test.tsv": b"1\tcat"}, "test.tsv, line 1"),
        ({"queries.jsonl": b"[" * 100_000, "qrels/test.tsv": QRELS}, "queries.jsonl"),
        ({"queries.jsonl": QUERIES, "qrels/test.tsv": b"1\tcat\t" + b"9" * 300}, "has a grade of"),
        ({"queries.jsonl": QUERIES, "qrels/test.tsv": b"1\tcat\t0"}, "judges no document relevant"),
        ({"queries.jsonl": b" " * (1 << 21), "qrels/test.tsv": QRELS}, "longer than"),
        ({"queries.jsonl": b"x" * 60 * 2**20, "qrels/test.tsv": QRELS}, "more than 50 MiB"),
        ({"queries.jsonl": QUERIES, "qrels/a b.tsv": QRELS}, "name a split by letters"),
        ({"queries.jsonl": QUERIES, **{f"qrels/s{n}.tsv": QRELS for n in range(21)}}, "more than 20 splits"),
    ],
)
def test_what_cannot_be_measured_with_is_refused_and_nothing_kept(location, files, message):
    with pytest.raises(BadInput, match=message):
        keep_judged_set(location, "uuid", "bad", zipped(**files))
    assert list_judged_sets(location, "uuid") == []
    assert list((location.home / "judged" / "uuid").iterdir()) == []


def test_a_broken_zip_and_a_wrong_name_are_refused(location):
    with pytest.raises(BadInput, match="the zip cannot be read"):
        keep_judged_set(location, "uuid", "bad", [("a.zip", io.BytesIO(b"PK\x03\x04 nothing"))])
    with pytest.raises(BadInput, match="neither"):
        keep_judged_set(location, "uuid", "bad", [("a.exe", io.BytesIO(b"x"))])
    with pytest.raises(BadInput):
        keep_judged_set(location, "uuid", "../up", [("queries.jsonl", io.BytesIO(json.dumps({}).encode()))])
