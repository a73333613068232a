"""Ids of documents from files: stable for one root, longer where two roots have the same path, never lost."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from indexing import Collection
from indexing.documents import Document, read_paths
from indexing.writing.identity import longer_ids


@pytest.fixture
def collection(home):
    with Collection.create("c", home=home) as collection:
        yield collection


def write(root, **texts):
    """Files `name.txt`; returns the folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (root / f"{name}.txt").write_text(text)
    return root


def index(collection, *paths):
    """(added, updated, unchanged, duplicates)"""
    report = collection.add(read_paths(paths, isolate=False), on_error="skip")
    assert not report.skips
    return report.added, report.updated, report.unchanged, report.duplicates


def texts(collection):
    return {r.id: r.text for r in collection.search("text", 100, mode="semantic").results}


def test_one_root_keeps_its_ids_however_it_is_spelt(collection, tmp_path, monkeypatch):
    docs = write(tmp_path / "x" / "docs", guide="text one", news="text two")
    assert index(collection, docs) == (2, 0, 0, 0)
    monkeypatch.chdir(tmp_path / "x")
    (tmp_path / "link").symlink_to(docs)
    for spelling in ("docs", "./docs/", docs / ".." / "docs", tmp_path / "link"):
        assert index(collection, spelling) == (0, 0, 2, 0)
    assert index(collection, docs / "guide.txt") == (0, 0, 1, 0)
    assert set(texts(collection)) == {"guide.txt", "news.txt"}


def test_a_folder_that_was_moved_keeps_its_ids(collection, tmp_path):
    docs = write(tmp_path / "docs", guide="text one", news="text two")
    index(collection, docs)
    for name in ("moved", "moved again"):
        docs = docs.rename(tmp_path / name)
        write(docs, news=f"text in {name}")
        report = collection.add(read_paths([docs]))
        assert (report.added, report.updated, report.unchanged, report.moved) == (0, 1, 1, 1)
        assert report.notes == [f"news.txt was replaced by {docs}/news.txt: its file was gone"]
    assert texts(collection) == {"guide.txt": "text one", "news.txt": "text in moved again"}


@pytest.mark.parametrize("one_run", [True, False])
def test_two_roots_with_one_path_are_two_documents(collection, tmp_path, one_run):
    first = write(tmp_path / "a", guide="text one")
    second = write(tmp_path / "b", guide="text two", x="text x")
    if one_run:
        assert index(collection, first, second) == (3, 0, 0, 0)
    else:
        assert index(collection, first) == (1, 0, 0, 0)
        report = collection.add(read_paths([second]))
        assert (report.added, report.updated, report.renamed) == (2, 0, 1)
        assert report.notes == [
            "b/guide.txt has the name of its folder or file before it: another file has the shorter id"
        ]
    expected = {"guide.txt": "text one", "b/guide.txt": "text two", "x.txt": "text x"}
    assert texts(collection) == expected
    assert index(collection, second) == (0, 0, 2, 0)
    assert index(collection, second, first) == (0, 0, 3, 0)
    write(second, guide="text three")
    assert index(collection, first, second) == (0, 1, 2, 0)
    assert texts(collection) == {**expected, "b/guide.txt": "text three"}


def test_the_second_keeps_its_id_when_the_first_is_gone(collection, tmp_path):
    first, second = write(tmp_path / "a", guide="text one"), write(tmp_path / "b", guide="text two")
    index(collection, first, second)
    shutil.rmtree(first)
    assert index(collection, second) == (0, 0, 1, 0)
    assert texts(collection) == {"guide.txt": "text one", "b/guide.txt": "text two"}


def test_folders_of_one_name_get_longer_ids(collection, tmp_path):
    roots = [write(tmp_path / owner / "docs", guide=f"text of {owner}") for owner in ("ann", "bob", "cid")]
    for root in roots:
        assert index(collection, root) == (1, 0, 0, 0)
    assert texts(collection) == {
        "guide.txt": "text of ann",
        "docs/guide.txt": "text of bob",
        "cid/docs/guide.txt": "text of cid",
    }
    assert index(collection, *reversed(roots)) == (0, 0, 3, 0)


def test_rows_of_tables_follow_their_file(collection, tmp_path):
    for owner in ("ann", "bob"):
        write(tmp_path / owner)
        (tmp_path / owner / "a.csv").write_text(f"text\ntext one of {owner}\ntext two of {owner}\n")
        assert index(collection, tmp_path / owner / "a.csv") == (2, 0, 0, 0)
    assert sorted(texts(collection)) == ["a.csv#2", "a.csv#3", "bob/a.csv#2", "bob/a.csv#3"]
    assert index(collection, tmp_path / "bob", tmp_path / "ann") == (0, 0, 4, 0)
    shutil.move(tmp_path / "ann", tmp_path / "eve")
    assert index(collection, tmp_path / "eve") == (0, 0, 2, 0)


def test_ids_in_a_file_are_taken_as_they_are(collection, tmp_path):
    for owner in ("ann", "bob"):
        write(tmp_path / owner)
        (tmp_path / owner / "a.jsonl").write_text(json.dumps({"id": "1", "text": f"text of {owner}"}))
    assert index(collection, tmp_path / "ann") == (1, 0, 0, 0)
    assert index(collection, tmp_path / "bob") == (0, 1, 0, 0)
    assert texts(collection) == {"1": "text of bob"}


def test_a_deleted_document_returns_under_its_id(collection, tmp_path):
    first, second = write(tmp_path / "a", guide="text one"), write(tmp_path / "b", guide="text two")
    index(collection, first, second)
    assert collection.delete(["b/guide.txt"]) == ["b/guide.txt"]
    assert index(collection, first, second) == (1, 0, 1, 0)
    assert texts(collection) == {"guide.txt": "text one", "b/guide.txt": "text two"}


def test_a_document_without_a_file_is_taken_over(collection, tmp_path):
    """As all documents of a catalog are that an older release made."""
    collection.add([{"id": "guide.txt", "text": "text one"}, {"id": "news.txt", "text": "text two"}])
    first = write(tmp_path / "a", guide="text one", news="text three")
    assert index(collection, first) == (0, 1, 1, 0)
    second = write(tmp_path / "b", guide="text four")
    assert index(collection, second) == (1, 0, 0, 0)
    assert texts(collection) == {
        "guide.txt": "text one",
        "news.txt": "text three",
        "b/guide.txt": "text four",
    }


@pytest.mark.skipif(os.name != "posix", reason="names of bytes that are no Unicode")
def test_a_name_that_is_no_unicode_is_not_taken_for_gone(collection, tmp_path):
    for owner in (b"ann\xff", b"bob"):
        folder = write(tmp_path / os.fsdecode(owner), guide="text")
        assert index(collection, folder) == (1, 0, 0, 0)
    assert sorted(texts(collection)) == ["bob/guide.txt", "guide.txt"]


def test_longer_and_longer_ids_end_with_the_path():
    document = Document("sub/guide.md#3", "text", origin="/home/ann/docs/sub/guide.md#3")
    assert list(longer_ids(document)) == [
        "sub/guide.md#3",
        "docs/sub/guide.md#3",
        "ann/docs/sub/guide.md#3",
        "home/ann/docs/sub/guide.md#3",
        "/home/ann/docs/sub/guide.md#3",
    ]
    assert list(longer_ids(Document("a.md", "text", origin="/a.md"))) == ["a.md", "/a.md"]
