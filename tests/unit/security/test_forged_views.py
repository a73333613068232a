"""Views that somebody else wrote are built anew: their files end the process if a parser sees them."""

from __future__ import annotations

import json
import logging
import os
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from indexing import Collection
from indexing.errors import CorruptView, ForeignView
from indexing.lexical import LexicalSnapshot, tantivy_index
from indexing.storage import published
from indexing.storage.machine import machine_key
from indexing.storage.published import MANIFEST, open_block_file, read_manifest, verify_folder
from indexing.vectors import engine_class

KINDS = ("vectors", "lexical", "columns")
DOCUMENTS = [
    {"id": f"d{i}", "text": f"{words}, note {i}"}
    for i, words in enumerate(["whales breathe air", "iron rusts", "bread dough rises"] * 100)
]
ANSWER = """
import json, logging, sys
logging.basicConfig(level="WARNING")
from indexing import Collection
for home in sys.argv[1:]:
    with Collection.open("c", home=home) as collection:
        collection.search("whales", 1, filter="a = null")
        print(json.dumps([
            [[r.id, r.score] for r in collection.search(query, 10, mode=mode).results]
            for query in ("how do whales breathe", "note 17") for mode in ("semantic", "keyword", "hybrid")
        ]))
"""
LOAD_GRAPH = """
import sys
import numpy as np
from usearch.index import Index, MetricKind, ScalarKind
index = Index(ndim=256, metric=MetricKind.IP, dtype=ScalarKind.I8)
index.load(open(sys.argv[1], "rb").read())
index.search(np.ones(256, np.int8), 10)
"""


def run(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def answers(*homes):
    done = run(ANSWER, *homes)
    assert done.returncode == 0, (done.returncode, done.stderr)
    assert "WARNING" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module", autouse=True)
def graphs_for_few_rows():
    """Small segments are scanned, whatever the engine; here usearch is to keep its file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_class("usearch"), "scan_rows", 20)
        yield


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A home with a usearch collection, and its answers."""
    home = tmp_path_factory.mktemp("sound")
    with Collection.create("c", home=home, engine="usearch") as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
    return home, answers(home)[0]


@pytest.fixture
def copy(sound, tmp_path):
    return shutil.copytree(sound[0], tmp_path / "copy")


def views(home):
    """The snapshots that are in use."""
    found = [path for kind in KINDS for path in (home / "collections/c/views" / kind).iterdir()]
    return [path for path in found if not path.name.startswith("damaged-")]


def forged_graph(home):
    """A usearch file of the right size that ends the process."""
    (path,) = home.rglob("engine-1.bin")
    data = bytearray(path.read_bytes())
    keep = len(data) * 9 // 10
    data[keep:] = b"\xff" * (len(data) - keep)
    path.write_bytes(data)
    return path


def forged_words(home):
    """A tantivy segment whose parts are whole and which makes its reader panic."""
    for path in home.rglob("*.idx"):
        data = bytearray(path.read_bytes())
        data[: len(data) * 2 // 3] = b"\xff" * (len(data) * 2 // 3)
        path.unlink()
        path.write_bytes(data)


def signed_as_before(folder):
    """The manifest that earlier versions wrote and read: a CRC32 of everything, which anybody can make."""
    meta = json.loads((folder / MANIFEST).read_bytes())["body"]["meta"]
    files = {
        path.name: {"size": path.stat().st_size, "crc32": zlib.crc32(path.read_bytes())}
        for path in folder.iterdir()
        if path.name != MANIFEST and path.suffix != ".lock"
    }
    body = {"files": files, "meta": meta}
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode("ascii")
    (folder / MANIFEST).write_text(json.dumps({"crc32": zlib.crc32(text), "body": body}, sort_keys=True))


def signed_elsewhere(folder):
    """A manifest that is right on another machine."""
    meta = json.loads((folder / MANIFEST).read_bytes())["body"]["meta"]
    (folder / MANIFEST).unlink()
    for path in folder.glob("*.lock"):
        path.unlink()
    before = os.environ["STLIB_STATE"]
    os.environ["STLIB_STATE"] = str(folder.parents[4] / "state elsewhere")
    try:
        published._write_manifest(folder, meta)
        verify_folder(folder)
    finally:
        os.environ["STLIB_STATE"] = before


def test_the_forged_files_would_end_the_process(copy):
    path = forged_graph(copy)
    assert run(LOAD_GRAPH, path).returncode < 0
    forged_words(copy)
    (folder,) = (copy / "collections/c/views/lexical").iterdir()
    with pytest.raises(CorruptView, match="tantivy failed on"):
        LexicalSnapshot(folder, {}).search("whales breathe", 10)


@pytest.mark.parametrize("sign", [signed_as_before, signed_elsewhere])
def test_forged_views_are_rebuilt_and_the_answers_are_right(sound, tmp_path, sign):
    expected = sound[1]
    homes = []
    for forge in (forged_graph, forged_words):
        home = shutil.copytree(sound[0], tmp_path / forge.__name__)
        forge(home)
        for folder in views(home):
            sign(folder)
            with pytest.raises(ForeignView):
                verify_folder(folder)
        homes.append(home)
    assert answers(*homes) == [expected, expected]
    for home in homes:
        for folder in views(home):
            verify_folder(folder)  # of this machine now


def test_a_copied_home_on_another_machine_answers_alike(sound, copy, another_machine, caplog):
    with caplog.at_level(logging.INFO), Collection.open("c", home=copy) as collection:
        found = collection.search("how do whales breathe", 10, mode="semantic").results
        assert [[r.id, r.score] for r in found] == sound[1][0]
        assert collection.search("note 17", 1, mode="keyword").results[0].id == "d17"
        assert collection.search("note 17", 1, filter="a = null").results[0].id == "d17"
    told = [record for record in caplog.records if "set aside" in record.message]
    assert [record.levelname for record in told] == ["INFO"] * 3  # one for each view
    assert all("was not written on this machine" in record.message for record in told)
    for folder in views(copy):
        verify_folder(folder)


def test_verify_says_so_too(copy, another_machine):
    with Collection.open("c", home=copy) as collection:
        report = collection.verify()
        assert report.errors == []
        assert ["was not written on this machine" in line for line in report.repaired] == [True] * 3
        assert collection.verify().clean


def test_a_home_that_was_moved_keeps_its_views(sound, tmp_path):
    copy = shutil.copytree(sound[0], tmp_path / "elsewhere")
    before = [folder.stat().st_ino for folder in views(copy)]
    assert answers(copy) == [sound[1]]
    assert [folder.stat().st_ino for folder in views(copy)] == before


def test_views_of_another_collection_of_this_machine_are_not_used(sound, tmp_path):
    """Same model, same documents, same names: only the catalog is another one."""
    home = tmp_path / "other"
    with Collection.create("c", home=home, engine="usearch") as collection:
        collection.add({"id": f"x{d['id']}", "text": d["text"]} for d in DOCUMENTS)
        collection.refresh()
    for kind in KINDS:
        shutil.rmtree(home / "collections/c/views" / kind)
        shutil.copytree(sound[0] / "collections/c/views" / kind, home / "collections/c/views" / kind)
    before = {folder.stat().st_ino for folder in views(home)}
    with Collection.open("c", home=home) as collection:
        assert collection.search("whales", 1, mode="keyword").results[0].id.startswith("xd")
        assert collection.search("whales", 1, mode="semantic").results[0].id.startswith("xd")
        assert collection.search("whales", 1, filter="a = null").results[0].id.startswith("xd")
    assert not before & {folder.stat().st_ino for folder in views(home)}


def test_a_header_that_makes_objects_of_bytes_is_not_parsed(copy):
    """An array of Python objects over bytes of a file would be pointers of the forger's choice."""
    (rows,) = copy.rglob("rows-1.bin")
    data = rows.read_bytes()
    magic, length, _ = struct.unpack("<8sII", data[:16])
    text = data[16 : 16 + length].replace(b'"<i8"', b'"|O8"', 1)
    table = data[16 + length : 16 + length + 4]
    rows.write_bytes(
        struct.pack("<8sII", magic, length, zlib.crc32(text + table)) + text + data[16 + length :]
    )
    with pytest.raises(CorruptView, match="does not match its checksum"):
        open_block_file(rows.parent, rows.name)
    with pytest.raises(CorruptView, match="none of numbers"):
        published.BlockFile(rows)


@pytest.mark.parametrize("field", ["mac", "key"])
@pytest.mark.parametrize("value", [None, 1, "", "é", [], "0" * 64])
def test_a_manifest_with_another_code_is_refused(copy, field, value):
    folder = views(copy)[0]
    envelope = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps({**envelope, field: value}))
    if field == "mac":
        with pytest.raises(CorruptView, match="does not match its checksum"):
            read_manifest(folder)
    else:
        assert read_manifest(folder) == envelope["body"]  # the name of the key decides nothing


def test_the_key_is_not_in_the_manifest(copy):
    for folder in views(copy):
        assert machine_key().hex() not in (folder / MANIFEST).read_text()


@pytest.mark.parametrize("name", [MANIFEST, "engine-1.bin", "rows-1.bin", "new.lock", "new.bin"])
@pytest.mark.parametrize("kind", ["pipe", "link", "device"])
def test_what_is_no_plain_file_is_not_waited_for(copy, name, kind):
    folder = views(copy)[0]
    path = folder / name
    if path.exists():
        path.rename(copy / "away")
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else copy / "nowhere")
    with pytest.raises(CorruptView):
        verify_folder(folder)


def test_what_this_process_has_read_is_read_again_only_when_it_changed(copy, monkeypatch):
    (folder,) = (copy / "collections/c/views/lexical").iterdir()
    for path in folder.iterdir():
        os.utime(path, ns=(1, 1))  # longer ago than a tick of the clock
    read = []
    digest = published._digest
    monkeypatch.setattr(published, "_known", {})
    monkeypatch.setattr(published, "_digest", lambda file, head: read.append(file.name) or digest(file, head))
    verify_folder(folder)
    everything = len(read)
    assert everything == len(read_manifest(folder)["files"])
    verify_folder(folder)
    assert len(read) == everything
    verify_folder(folder, afresh=True)
    assert len(read) == 2 * everything
    (store,) = folder.glob("*.store")
    shutil.copy(store, copy / "same bytes")
    store.unlink()
    (copy / "same bytes").rename(store)
    verify_folder(folder)
    verify_folder(folder)  # it changed within the last tick, and could have changed again
    assert len(read) == 2 * everything + 2
    data = bytearray(store.read_bytes())
    data[0] ^= 1
    store.write_bytes(data)
    with pytest.raises(CorruptView):
        verify_folder(folder)


def test_publishing_reads_only_what_is_new(tmp_path, monkeypatch):
    with tantivy_index.LexicalWriter(tmp_path) as writer:
        writer.apply((key, "", f"word{key}") for key in range(2000))
        writer.publish(tmp_path / "1")
    old = [path for path in (tmp_path / "1").iterdir() if "." in path.name[1:] and path.suffix != ".json"]
    for path in old:
        os.utime(path, ns=(1, 1))  # longer ago than a tick of the clock
    LexicalSnapshot.open(tmp_path / "1")
    read = []
    digest = published._digest
    monkeypatch.setattr(published, "_digest", lambda file, head: read.append(file.name) or digest(file, head))
    with tantivy_index.LexicalWriter(tmp_path, base=tmp_path / "1") as writer:
        writer.apply([(5000, "", "another")])
        writer.publish(tmp_path / "2")
    LexicalSnapshot.open(tmp_path / "2")
    shared = {path.name for path in old} & {path.name for path in (tmp_path / "2").iterdir()}
    assert shared
    assert shared.isdisjoint(Path(name).name for name in read)
    LexicalSnapshot.open(tmp_path / "2").verify()
    assert shared <= {Path(name).name for name in read}


class PanicException(BaseException):
    """As tantivy's binding raises it."""


@pytest.mark.parametrize(
    ("error", "seen"),
    [(PanicException("index out of bounds"), CorruptView), (KeyboardInterrupt(), KeyboardInterrupt),
     (SystemExit(3), SystemExit), (ValueError("x"), ValueError)],
)  # fmt: skip
def test_a_panic_is_damage_and_nothing_else_is(tmp_path, error, seen):
    def fail():
        with tantivy_index._panics_are_damage(tmp_path):
            raise error

    with pytest.raises(seen):
        fail()
