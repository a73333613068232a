"""Every file of every view, damaged in every way: the answers stay and the file is rebuilt."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from indexing import Collection
from indexing.vectors import engine_class

pytestmark = pytest.mark.faults

TOPICS = ["whales breathe air", "iron rusts in wet air", "bread dough rises", "a glacier moves downhill"]
DOCUMENTS = [{"id": f"d{i}", "text": f"{TOPICS[i % 4]}, note {i}"} for i in range(600)]


def truncate(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def zero(path: Path) -> None:
    path.write_bytes(b"\0" * path.stat().st_size)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3] ^= 4
    path.write_bytes(data)


def flip_the_last_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def remove(path: Path) -> None:
    path.unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def answers(collection: Collection) -> list:
    return [
        [(r.id, r.score) for r in collection.search(query, 10, mode=mode).results]
        for query in ("how do whales breathe", "note 17")
        for mode in ("semantic", "keyword", "hybrid")
    ]


@pytest.fixture(scope="module", autouse=True)
def graphs_for_few_rows():
    """Small segments are scanned, whatever the engine; here usearch is to keep its file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_class("usearch"), "scan_rows", 100)
        yield


@pytest.fixture(scope="module", params=["faiss", "usearch"])
def sound(request, tmp_path_factory):
    home = tmp_path_factory.mktemp(request.param)
    with Collection.create("c", home=home, engine=request.param) as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
        expected = answers(collection)
    return home, expected


def view_files(home: Path) -> list[Path]:
    files = (p for p in (home / "collections/c/views").rglob("*") if p.is_file())
    # A reader leaves an empty lock file behind; it holds nothing.
    return sorted(p.relative_to(home) for p in files if p.suffix != ".lock")


@pytest.mark.parametrize("damage", [truncate, zero, flip_a_bit, remove, empty])
def test_damage_is_repaired_and_answers_stay(sound, damage, tmp_path):
    home, expected = sound
    files = view_files(home)
    assert {"manifest.json", "rows-1.bin", "columns-1.bin", "meta.json"} <= {path.name for path in files}
    assert any(path.name == "engine-1.bin" for path in files) == ("usearch" in str(home))
    for number, file in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(home, copy)
        damage(copy / file)
        with Collection.open("c", home=copy) as collection:
            assert answers(collection) == expected, (damage.__name__, file)
            assert collection.verify().errors == []
            assert collection.verify().clean, (damage.__name__, file)
        shutil.rmtree(copy)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, flip_the_last_bit])
def test_damaged_bits_are_made_anew(damage, tmp_path, monkeypatch):
    """Of a binary precision, by whose bits candidates are found: they lie behind the codes."""
    monkeypatch.setattr(engine_class("faiss"), "scan_rows", 10)
    with Collection.create("c", home=tmp_path, precision="ubinary") as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
        expected = answers(collection)
    for use in (answers, lambda collection: collection.verify().errors or answers(collection)):
        (rows,) = (tmp_path / "collections/c/views/vectors").rglob("rows-1.bin")
        damage(rows)
        with Collection.open("c", home=tmp_path) as collection:
            assert use(collection) == expected
            collection.refresh()
            assert collection.verify().clean


@pytest.mark.parametrize("damage", [truncate, zero, flip_a_bit, remove])
def test_verify_finds_and_repairs_damage(sound, damage, tmp_path):
    home, expected = sound
    for number, file in enumerate(view_files(home)):
        copy = tmp_path / str(number)
        shutil.copytree(home, copy)
        damage(copy / file)
        with Collection.open("c", home=copy) as collection:
            report = collection.verify()
            assert (report.errors, len(report.repaired)) == ([], 1), (damage.__name__, file, report)
            assert str(file.parent.name) in report.repaired[0]
            assert collection.verify().clean
            assert answers(collection) == expected
        shutil.rmtree(copy)


def test_all_views_gone(sound, tmp_path):
    home, expected = sound
    shutil.copytree(home, tmp_path / "copy")
    shutil.rmtree(tmp_path / "copy/collections/c/views")
    with Collection.open("c", home=tmp_path / "copy") as collection:
        assert answers(collection) == expected
        assert collection.verify().clean


@pytest.mark.parametrize("damage", [flip_a_bit, remove])
def test_damage_behind_an_open_collection(sound, damage, tmp_path):
    """Following the log starts from the snapshot that is open; the answers come from the log instead."""
    home, _ = sound
    more = [{"id": f"z{i}", "text": f"zebras have stripes, note {i}"} for i in range(600)]
    for number, file in enumerate(view_files(home)):
        copy = tmp_path / str(number)
        shutil.copytree(home, copy)
        with Collection.open("c", home=copy) as collection:
            answers(collection)
            damage(copy / file)
            assert collection.add(more).added == len(more), (damage.__name__, file)
            assert collection.search("zebras with stripes", 1, mode="keyword").results[0].id == "z0"
            assert collection.verify().clean
        shutil.rmtree(copy)


@pytest.mark.parametrize("size", [0, 4096, -1])
def test_a_mapped_file_truncated_between_two_searches(sound, size, tmp_path):
    """Reading behind its end would kill the process."""
    home, expected = sound
    shutil.copytree(home, tmp_path / "copy")
    (rows,) = (tmp_path / "copy").rglob("rows-1.bin")
    with Collection.open("c", home=tmp_path / "copy") as collection:
        assert answers(collection) == expected
        os.truncate(rows, size if size >= 0 else rows.stat().st_size + size)
        assert answers(collection) == expected
        assert collection.verify().clean


def test_only_what_is_damaged_is_rebuilt(sound, tmp_path):
    home, expected = sound
    shutil.copytree(home, tmp_path / "copy")
    views = tmp_path / "copy/collections/c/views"
    (rows,) = views.glob("vectors/*/rows-1.bin")
    flip_a_bit(rows)
    words = [path.stat().st_ino for path in views.glob("lexical/*")]
    with Collection.open("c", home=tmp_path / "copy") as collection:
        assert answers(collection) == expected
    assert [path.stat().st_ino for path in views.glob("lexical/*")] == words


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_views_that_are_ahead_of_a_restored_catalog_are_rebuilt(tmp_path, precision, caplog):
    with Collection.create("c", home=tmp_path, precision=precision) as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
        expected = answers(collection)
    catalog, backup = tmp_path / "collections/c/catalog.sqlite", tmp_path / "backup.sqlite"
    copy_database(catalog, backup)
    with Collection.open("c", home=tmp_path) as collection:
        collection.delete(document["id"] for document in DOCUMENTS[::2])
        collection.add({"id": f"n{i}", "text": f"whales breathe, note {i}"} for i in range(600))
        collection.refresh()
    backup.replace(catalog)
    with caplog.at_level(logging.WARNING), Collection.open("c", home=tmp_path) as collection:
        assert "ahead of the catalog" in caplog.text
        assert answers(collection) == expected
        assert collection.verify().clean


def test_views_of_another_catalog_are_not_used(tmp_path):
    """float32 has no ranges that would tell two collections apart."""
    with Collection.create("c", home=tmp_path, precision="float32") as collection:
        collection.add(DOCUMENTS)
        collection.refresh()
    for file in (tmp_path / "collections/c").glob("catalog.sqlite*"):
        file.unlink()
    with Collection.create("c", home=tmp_path, precision="float32") as collection:
        collection.add({"id": f"n{i}", "text": f"iron rusts, note {i}"} for i in range(len(DOCUMENTS) - 1))
        collection.add([{"id": "whale", "text": "whales breathe air"}])
        assert collection.search("how do whales breathe", 1, mode="semantic").results[0].id == "whale"
        assert collection.verify().clean


def test_verify_sets_a_view_aside_that_differs_from_the_catalog(sound, tmp_path):
    home, _ = sound
    shutil.copytree(home, tmp_path / "copy")
    catalog = tmp_path / "copy/collections/c/catalog.sqlite"
    with sqlite3.connect(catalog) as database:
        database.execute("UPDATE code SET key = key + 1000000 WHERE key = 5")
        database.execute("UPDATE chunk SET key = key + 1000000 WHERE key = 5")
        database.execute("UPDATE counter SET last = last + 1000000 WHERE kind = 'chunk'")
    database.close()
    with Collection.open("c", home=tmp_path / "copy") as collection:
        assert collection.verify().repaired == [
            "vector view of generation 1: its chunks differ from the catalog's"
        ]
        assert collection.verify().clean


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        (
            "UPDATE document SET text = replace(text, 'iron', 'zinc') WHERE id = 'd1'",
            "another id, text, title or metadata",
        ),
        ("UPDATE document SET title = 'x' WHERE id = 'd1'", "another id, text, title or metadata"),
        ("UPDATE document SET metadata = '{\"a\":1}' WHERE id = 'd1'", "another id, text, title or metadata"),
        ('UPDATE chunk SET "end" = "end" + 1 WHERE key = 2', "a passage beyond"),
        ('UPDATE chunk SET "start" = "end" WHERE key = 2', "a passage beyond"),
    ],
)
def test_verify_notices_an_altered_catalog(sound, tmp_path, statement, problem):
    home, _ = sound
    shutil.copytree(home, tmp_path / "copy")
    alter(tmp_path / "copy", statement)
    with Collection.open("c", home=tmp_path / "copy") as collection:
        report = collection.verify()
        assert [problem in error for error in report.errors] == [True], report
        assert "(1: 'd1')" in report.errors[0]
        collection.delete(["d1"])
        assert collection.verify().clean
        assert collection.add(DOCUMENTS).added == 1
        assert collection.verify().clean


def test_verify_notices_altered_codes(sound, tmp_path):
    home, _ = sound
    shutil.copytree(home, tmp_path / "copy")
    alter(tmp_path / "copy", "UPDATE code SET code = zeroblob(length(code)) WHERE key IN (2, 3)")
    with Collection.open("c", home=tmp_path / "copy") as collection:
        report = collection.verify()
        assert (report.documents, report.repaired) == (len(DOCUMENTS), [])
        assert report.errors == [
            "catalog: 2 codes differ from the vector view made of them;"
            " delete and index them again, or restore the catalog from a backup"
        ]


def alter(home: Path, statement: str) -> None:
    with sqlite3.connect(home / "collections/c/catalog.sqlite") as database:
        assert database.execute(statement).rowcount
    database.close()


def copy_database(source: Path, target: Path) -> None:
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()
