"""Which files are found, in which order, under which ids."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from indexing.documents import EXTENSIONS, Document, ReadReport, Skipped, read_paths
from indexing.errors import BadInput


def write(root, files: dict[str, str]):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def ids(*paths, report=None) -> list[str]:
    return [item.id for item in read_paths(paths, isolate=False, report=report)]


def test_folders_are_walked_in_order_with_relative_ids(tmp_path):
    names = ["b.txt", "a/z.txt", "a/b/c.md", "a.txt", "Z.TXT"]
    write(tmp_path, dict.fromkeys(names, "text"))
    assert ids(tmp_path) == ["Z.TXT", "a.txt", "a/b/c.md", "a/z.txt", "b.txt"]
    assert [item.id for item in read_paths(str(tmp_path / "b.txt"))] == ["b.txt"]
    assert ids(tmp_path / "a", tmp_path / "b.txt") == ["b/c.md", "z.txt", "b.txt"]


def test_hidden_and_unsupported_files_are_passed_over_and_counted(tmp_path):
    write(
        tmp_path, dict.fromkeys([".git/a.txt", ".hidden.txt", "x.pdf", "y.PDF", "Makefile", "a.txt"], "text")
    )
    report = ReadReport()
    assert ids(tmp_path, report=report) == ["a.txt"]
    assert report.unsupported == Counter({".pdf": 2, "": 1})
    assert ids(tmp_path / ".hidden.txt") == [".hidden.txt"]


def test_an_unsupported_file_that_was_named_is_skipped_with_the_reason(tmp_path):
    path = write(tmp_path, {"x.step": "text"}) / "x.step"
    reason = f"this format is not supported; supported: {' '.join(EXTENSIONS)}"
    assert list(read_paths([path])) == [Skipped(str(path), None, reason)]


def test_a_missing_path_is_an_error_before_anything_is_read(tmp_path):
    write(tmp_path, {"a.txt": "text"})
    with pytest.raises(BadInput) as caught:
        read_paths([tmp_path / "a.txt", tmp_path / "no", tmp_path / "nor"])
    assert str(caught.value) == f"no such file or folder: {tmp_path}/no, {tmp_path}/nor; nothing was read"


def test_links_are_followed_once_and_loops_end(tmp_path):
    write(tmp_path, {"docs/real/a.txt": "text", "outside/b.txt": "text"})
    docs = tmp_path / "docs"
    (docs / "a-link.txt").symlink_to(docs / "real/a.txt")  # sorts first, the real name wins
    (docs / "loop").symlink_to(docs)
    (docs / "real/up").symlink_to(docs)
    (docs / "out").symlink_to(tmp_path / "outside")
    (docs / "broken.txt").symlink_to(tmp_path / "nothing")
    assert ids(docs) == ["out/b.txt", "real/a.txt"]
    assert ids(docs, docs / "real", docs / "real/a.txt") == ["out/b.txt", "real/a.txt"]


def test_of_a_beir_folder_only_the_corpus_is_read(tmp_path):
    corpus = '{"_id": "1", "title": "Bread", "text": "Dough.", "metadata": {"url": "u"}}\n'
    write(
        tmp_path,
        {
            "set/corpus.jsonl": corpus,
            "set/queries.jsonl": '{"_id": "q", "text": "no"}',
            "set/qrels/test.tsv": "query-id\tcorpus-id\tscore\nq\t1\t1\n",
            "other.txt": "text",
        },
    )
    document = Document("1", "Dough.", "Bread", {"url": "u"})
    assert list(read_paths([tmp_path], isolate=False)) == [Document("other.txt", "text"), document]
    assert list(read_paths([tmp_path / "set"], isolate=False)) == [document]


def test_a_pipe_is_no_document(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    assert ids(tmp_path) == []
    path = tmp_path / "pipe.txt"
    assert list(read_paths([path])) == [Skipped(str(path), None, "is not a regular file")]


def test_a_name_that_is_not_unicode_is_made_readable(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"text")
    assert [item.id for item in read_paths([tmp_path])] == ["caf\ufffd.txt"]


def test_the_report_tells_how_far_the_reading_is(tmp_path):
    lines = '{"id": "%d", "text": "Bread."}\n'
    content = "".join(lines % number for number in range(1000, 3000))
    write(tmp_path, {"a.jsonl": content, "b.txt": "text"})
    report = ReadReport()
    items = read_paths([tmp_path], report=report)
    assert (report.files, report.bytes_total, report.bytes_read) == (2, len(content) + 4, 0)
    next(items)
    assert report.bytes_read == len(content) // 2000 * 512
    assert sum(1 for _ in items) == 2000
    assert report.bytes_read == report.bytes_total
