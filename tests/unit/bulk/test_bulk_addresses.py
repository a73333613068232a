"""Addresses: what they may be, which files they name, and what is said where they cannot be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.webhdfs import WebHDFS

from indexing.bulk.addresses import Address, Stamp, open_store, parse_address, stamp_of
from indexing.bulk.listing import list_address, root_of
from indexing.documents.model import Skipped
from indexing.documents.options import ReadOptions
from indexing.errors import BadInput

PLAIN = ReadOptions()


@pytest.fixture
def store() -> Iterator[fsspec.AbstractFileSystem]:
    store = fsspec.filesystem("memory")
    yield store
    for path in list(store.store):
        store.rm_file(path)


def names(listing) -> list[str]:
    return [file.name for file in listing.plan.files]


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("docs/a.md", "docs/a.md"),
        ("/docs", "/docs"),
        ("file:///docs/a%20b", "/docs/a b"),
        ("local:///docs/a%20b", "/docs/a%20b"),
        ("C:/docs", "C:/docs"),
        ("std::vector.md", "std::vector.md"),
    ],
)
def test_paths_and_addresses_of_this_machine_are_paths(text, path):
    assert parse_address(text) == Path(path)


def test_an_address_is_written_as_it_is_named():
    address = parse_address("memory://corpus/deep/")
    assert address == Address("memory", "/corpus/deep")
    assert str(address) == "memory://corpus/deep"
    assert str(address.below("a b.md")) == "memory://corpus/deep/a b.md"
    assert parse_address("hf://datasets/someone/corpus/data").path == "datasets/someone/corpus/data"


@pytest.mark.parametrize(
    "text",
    ["hdfs://a:1/x/y", "hdfs:///x/y", "webhdfs://me@b:2/x/y", "ftp://c/x/y", "ftp://me@c:21/x/y"],
)
def test_an_address_keeps_its_server(text):
    address = parse_address(text)
    assert (str(address), address.path) == (text, "/x/y")
    assert str(root_of(address).below("a.md")) == text.removesuffix("y") + "a.md"
    assert Address.from_json(json.loads(json.dumps(address.to_json()))) == address


def test_a_store_is_opened_on_the_server_of_its_address(monkeypatch):
    monkeypatch.setattr(WebHDFS, "__init__", lambda self, **given: vars(self).update(given=given))
    opened = [open_store(parse_address(text)) for text in ("webhdfs://a:1/x", "webhdfs://me@b:2/x")]
    assert [store.given for store in opened] == [
        {"host": "a", "port": 1},
        {"host": "b", "port": 2, "user": "me"},
    ]
    WebHDFS.clear_instance_cache()


def test_an_address_that_says_more_than_where_is_refused_and_not_repeated():
    with pytest.raises(BadInput, match="webhdfs://… says more than a place") as refused:
        parse_address("webhdfs://a:1/x?delegation=hush")
    assert "hush" not in str(refused.value)


def test_a_plan_leads_to_no_other_file_system():
    for protocol in ("file", "local", "zip", "simplecache"):
        with pytest.raises(BadInput, match=r"no address of another machine|leads to other file systems"):
            Address.from_json({"protocol": protocol, "path": "/etc", "server": None})


def test_a_file_at_the_top_of_a_store_is_named_there(store):
    store.pipe_file("/a.jsonl", b"{}")
    listing = list_address(parse_address("memory://a.jsonl"), PLAIN)
    assert (names(listing), str(listing.root)) == (["a.jsonl"], "memory://")
    assert listing.plan.files[0].source == "memory://a.jsonl"


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIA:hush@bucket/corpus",
        "s3://AKIA:hu/sh@bucket/corpus",
        "https://me:hush@host/corpus",
        "https://hush@host/corpus",
        "http://host:hush/corpus",
        "https://host/corpus.jsonl?X-Amz-Signature=hush",
        "https://host?token=hush",
    ],
)
def test_an_address_with_a_secret_is_refused_and_not_repeated(text):
    with pytest.raises(BadInput) as refused:
        parse_address(text)
    assert "hush" not in str(refused.value)
    assert "AKIA" not in str(refused.value)
    assert "leave it away; credentials are those of the environment" in str(refused.value)


@pytest.mark.parametrize(
    "text",
    ["reference://s3://bucket", "simplecache::s3://bucket/a", "zip://a.md::s3://bucket/a.zip", "dir://x/y"],
)
def test_an_address_that_leads_to_others_is_refused(text):
    with pytest.raises(BadInput, match="leads to other file systems: name the folder itself"):
        parse_address(text)


def test_a_missing_package_is_named(monkeypatch):
    def missing(protocol):
        raise ImportError(f"install something for {protocol}")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(
        BadInput, match=r"s3:// addresses need a package that is missing; run: pip install s3fs"
    ):
        parse_address("s3://bucket/corpus")
    with pytest.raises(BadInput, match=r"dropbox:// addresses need .*; install something for dropbox"):
        parse_address("dropbox://corpus")


def test_what_is_no_file_system_is_told():
    with pytest.raises(BadInput, match=r"no file system is called teleport://; there are s3, gs"):
        parse_address("teleport://corpus")
    with pytest.raises(BadInput, match=r"memory:// names nothing"):
        parse_address("memory://")


def test_a_folder_at_an_address_is_read_by_the_rules_of_folders(store):
    for name in (
        "a.md",
        "deep/b.md",
        "deep/c.log",
        ".hidden/d.md",
        "node_modules/e.md",
        "beir/corpus.jsonl",
        "beir/queries.jsonl",
        "picture.png",
        "archive.zip",
    ):
        store.pipe_file(f"/corpus/{name}", b"{}")
    store.pipe_file("/corpus/deep/.gitignore", b"*.log\n")
    listing = list_address(parse_address("memory://corpus"), PLAIN)
    assert names(listing) == ["a.md", "beir/corpus.jsonl", "deep/b.md"]
    assert listing.plan.left_out == {"hidden": 2, "vendored": 1, "ignored": 1}
    assert listing.plan.unsupported == {".png": 1, ".zip": 1}
    (first, *_) = listing.plan.files
    assert (first.source, first.root, first.size) == ("memory://corpus/a.md", "memory://corpus", 2)
    options = ReadOptions(hidden=True, include=("*.md",), exclude=("deep/",))
    assert names(list_address(parse_address("memory://corpus"), options)) == [".hidden/d.md", "a.md"]


def test_a_pattern_and_a_file_are_named_below_their_folder(store):
    for name in ("x/a.parquet", "x/b.parquet", "y/a.parquet", "y/a.png"):
        store.pipe_file(f"/corpus/{name}", b"")
    listing = list_address(parse_address("memory://corpus/*/a.*"), PLAIN)
    assert names(listing) == ["x/a.parquet", "y/a.parquet"]
    assert str(listing.root) == "memory://corpus"
    assert listing.plan.unsupported == {".png": 1}
    assert names(list_address(parse_address("memory://corpus/**/*.parquet"), PLAIN)) == [
        "x/a.parquet",
        "x/b.parquet",
        "y/a.parquet",
    ]
    listing = list_address(parse_address("memory://corpus/x/b.parquet"), PLAIN)
    assert (names(listing), str(listing.root)) == (["b.parquet"], "memory://corpus/x")
    (skipped,) = list_address(parse_address("memory://corpus/y/a.png"), PLAIN).plan.entries
    assert isinstance(skipped, Skipped)
    assert str(skipped).startswith("memory://corpus/y/a.png: this format is not supported; supported: ")
    with pytest.raises(BadInput, match=r"no file matches memory://corpus/\*\.csv"):
        list_address(parse_address("memory://corpus/*.csv"), PLAIN)


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (FileNotFoundError("NoSuchBucket"), "there is nothing at memory://corpus, or it may not be seen"),
        (
            PermissionError("Access Denied for https://key:hush@host/corpus?X-Amz-Signature=hush"),
            "memory://corpus may not be read: Access Denied for https:host/corpus; credentials are those of",
        ),
        (
            RuntimeError("Unable to locate credentials\nsee the manual"),
            "memory://corpus cannot be read: Unable to locate credentials see the manual; credentials are",
        ),
        (TimeoutError(), "memory://corpus cannot be read: TimeoutError"),
    ],
)
def test_what_hinders_to_read_an_address_is_one_line_without_secrets(store, monkeypatch, raised, said):
    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(type(store), "info", fail)
    with pytest.raises(BadInput) as error:
        list_address(parse_address("memory://corpus"), PLAIN)
    assert str(error.value).startswith(said)
    assert "hush" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_folder_below_that_may_not_be_listed_is_told_and_the_rest_is_read(store, monkeypatch):
    store.pipe_file("/corpus/a.md", b"a")
    store.pipe_file("/corpus/closed/b.md", b"b")
    whole = type(store).ls

    def ls(self, path, detail=True, **options):
        if path.endswith("closed"):
            raise PermissionError("no")
        return whole(self, path, detail=detail, **options)

    monkeypatch.setattr(type(store), "ls", ls)
    file, skipped = list_address(parse_address("memory://corpus"), PLAIN).plan.entries
    assert file.name == "a.md"
    assert str(skipped).startswith("memory://corpus/closed: memory://corpus/closed may not be listed: no;")


def test_a_stamp_is_of_what_a_store_tells():
    assert stamp_of({"size": 3, "ETag": '"abc"', "LastModified": "2026-01-02T03:04:05Z"}) == Stamp(
        3, 1767323045 * 10**9, "abc"
    )
    assert stamp_of({"size": None, "mtime": "soon"}) == Stamp(-1)
    same = Stamp(3, 10**18, "abc")
    assert same.difference(Stamp(3, 10**18 + 10**10, "abc")) == ""
    assert same.difference(Stamp(3, 10**18, "other")) == "it has another content (its tag is another)"
    assert same.difference(Stamp(3, 10**18 + 5 * 10**8)) == ""
    assert same.difference(Stamp(3, 10**18 + 10**9)) == "it was changed at 2001-09-09 01:46:41 UTC"
    assert same.difference(Stamp(-1)) == ""
    assert same.difference(Stamp(4, 10**18, "abc")) == "it had 3 bytes and has 4"
