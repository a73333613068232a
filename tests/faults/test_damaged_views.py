"""Every file of every view, damaged in every way: the answers stay and the file is rebuilt."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from indexing import Collection

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
    assert {"manifest.json", "rows.bin", "engine.bin", "meta.json"} <= {path.name for path in files}
    for number, file in enumerate(files):
        copy = tmp_path / str(number)
        shutil.copytree(home, copy)
        damage(copy / file)
        with Collection.open("c", home=copy) as collection:
            assert answers(collection) == expected, (damage.__name__, file)
            assert collection.verify().errors == []
            assert collection.verify().clean, (damage.__name__, file)
        shutil.rmtree(copy)


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
