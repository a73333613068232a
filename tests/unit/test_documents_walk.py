"""Which files are found, in which order, under which ids."""

from __future__ import annotations

import os
from collections import Counter

import pytest

from indexing.documents import EXTENSIONS, Document, ReadReport, Skipped, read_paths
from indexing.documents.options import ReadOptions
from indexing.documents.walk import plan_files, real_name
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
        tmp_path, dict.fromkeys([".git/a.txt", ".hidden.txt", "x.exe", "y.EXE", "Makefile", "a.txt"], "text")
    )
    report = ReadReport()
    assert ids(tmp_path, report=report) == ["Makefile", "a.txt"]
    assert report.unsupported == Counter({".exe": 2})
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
    (docs / "chain.bin").symlink_to(docs / "chain.bin")  # leads nowhere but to itself
    (docs / "chain.txt").symlink_to(docs / "chain.txt")
    broken, chain = (
        Skipped(str(docs / name), None, "is a link to what is not there")
        for name in ("broken.txt", "chain.txt")
    )
    documents = [Document("out/b.txt", "text"), Document("real/a.txt", "text")]
    assert list(read_paths([docs], isolate=False)) == [broken, chain, *documents]
    found = list(read_paths([docs, docs / "real", docs / "real/a.txt"], isolate=False))
    assert found == [broken, chain, *documents]


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


def test_names_that_are_not_unicode_are_made_readable_and_stay_apart(tmp_path):
    names = [b"caf\xe9.txt", b"caf\xe8.txt", b"caf\\xe9.txt", b"\\x.txt"]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name[:-4])
    read = [item.id for item in read_paths([tmp_path])]
    assert read == ["\\x.txt", "caf\\x5cxe9.txt", "caf\\xe8.txt", "caf\\xe9.txt"]
    assert [real_name(id_) for id_ in read] == [os.fsdecode(names[i]) for i in (3, 2, 1, 0)]


@pytest.mark.parametrize(
    ("ignore", "left"),
    [
        ("", ["a.log", "b.txt", "deep/a.log", "deep/b.txt", "deep/keep.log"]),
        ("*.log", ["b.txt", "deep/b.txt", "deep/keep.log"]),
        ("/*.log", ["b.txt", "deep/a.log", "deep/b.txt", "deep/keep.log"]),
        ("deep/", ["a.log", "b.txt"]),
        ("deep/*\n!deep/b.txt", ["a.log", "b.txt", "deep/b.txt", "deep/keep.log"]),
        ("# comment\n\n[", ["a.log", "b.txt", "deep/a.log", "deep/b.txt", "deep/keep.log"]),
    ],
)
def test_ignore_files_are_obeyed(tmp_path, monkeypatch, ignore, left):
    """A file deeper down has the later word: `deep/.gitignore` keeps one log."""
    monkeypatch.setitem(EXTENSIONS, ".log", "text")
    names = ["a.log", "b.txt", "deep/a.log", "deep/b.txt", "deep/keep.log"]
    write(tmp_path, dict.fromkeys(names, "text"))
    (tmp_path / ".stlibignore").write_text(ignore)
    (tmp_path / "deep/.gitignore").write_text("!keep.log\n")
    assert ids(tmp_path) == left
    assert [f.name for f in plan_files([tmp_path], options=ReadOptions(ignore_files=False)).files] == names


def test_what_is_left_out_is_counted(tmp_path):
    names = [
        *("a.txt", ".env.txt", ".git/a.txt", "draft/b.txt", "c.md", "node_modules/x/readme.md"),
        *("env/pyvenv.cfg", "env/a.txt", "vendor/modules.txt", "vendor/a.md", "ignored.txt"),
    ]
    write(tmp_path, dict.fromkeys(names, "text"))
    (tmp_path / ".gitignore").write_text("ignored.txt\n")
    plan = plan_files([tmp_path], options=ReadOptions(exclude=("draft",), include=("*.txt",)))
    assert [file.name for file in plan.files] == ["a.txt"]
    assert plan.left_out == {"hidden": 3, "vendored": 3, "excluded": 2, "ignored": 1}
    everything = ReadOptions(hidden=True, vendored=True, ignore_files=False)
    found = [file.name for file in plan_files([tmp_path], options=everything).files]
    assert found == sorted([*names, ".gitignore"])


def test_a_folder_that_cannot_be_listed_is_one_skip(tmp_path, monkeypatch):
    write(tmp_path, {"a.txt": "text", "locked/b.txt": "text"})
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    plan = plan_files([tmp_path])
    reason = "the folder cannot be listed: Permission denied"
    assert plan.entries[1:] == [Skipped(str(tmp_path / "locked"), None, reason)]
    assert plan.unknown == ["locked"]


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
