"""Snapshots grow from each other, keep the older ones, and are refused when damaged."""

import shutil

import numpy as np
import pytest

from indexing.errors import BadInput, CorruptView, StorageError
from indexing.lexical import LexicalSnapshot, LexicalWriter
from indexing.storage.published import verify_folder


def publish(folder, name, upserts=(), deletes=(), base=None):
    with LexicalWriter(folder, base=base and folder / base) as writer:
        writer.apply(upserts, deletes)
        writer.publish(folder / name, {"name": name})
    return LexicalSnapshot.open(folder / name)


def found(snapshot, text):
    return snapshot.search(text, 100).doc_keys.tolist()


def test_a_snapshot_grows_from_another_which_stays(tmp_path):
    first = publish(tmp_path, "1", [(1, "", "river"), (2, "", "river stone"), (3, "", "stone")])
    second = publish(tmp_path, "2", [(2, "", "cloud"), (4, "", "river")], [3], base="1")
    assert (found(first, "river"), found(first, "stone")) == ([1, 2], [3, 2])
    assert (found(second, "river"), found(second, "stone"), found(second, "cloud")) == ([1, 4], [], [2])
    assert len(first) == len(second) == 3
    assert first.meta == {"name": "1"} and second.meta == {"name": "2"}
    verify_folder(tmp_path / "1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["1", "2"]


def test_replaying_the_same_changes_changes_nothing(tmp_path):
    upserts = [(key, "t", f"word{key % 7} common") for key in range(50)]
    once = publish(tmp_path, "1", upserts, [60])
    with LexicalWriter(tmp_path, base=tmp_path / "1") as writer:
        writer.apply(upserts, [60])
        writer.apply(upserts[10:30], [60])
        writer.publish(tmp_path / "2")
    twice = LexicalSnapshot.open(tmp_path / "2")
    assert len(once) == len(twice) == 50
    assert found(once, "common word3") == found(twice, "common word3")


def test_the_last_of_several_versions_in_one_batch_wins(tmp_path):
    snapshot = publish(tmp_path, "1", [(5, "", "old"), (9, "", "other"), (5, "", "new")])
    assert (found(snapshot, "old"), found(snapshot, "new"), len(snapshot)) == ([], [5], 2)


def test_many_small_snapshots_equal_one(tmp_path):
    rng = np.random.default_rng(3)
    words = np.array("river stone cloud engine window paper".split())
    documents = [(int(key), "", " ".join(rng.choice(words, 6))) for key in rng.permutation(120)]
    one = publish(tmp_path, "one", documents)
    base = None
    for step in range(12):
        publish(tmp_path, f"s{step}", documents[step * 10 : step * 10 + 10], base=base)
        base = f"s{step}"
    many = LexicalSnapshot.open(tmp_path / base)
    for text in ("river", "stone cloud", "engine window paper"):
        np.testing.assert_array_equal(one.search(text, 50).doc_keys, many.search(text, 50).doc_keys)
        np.testing.assert_allclose(one.search(text, 50).scores, many.search(text, 50).scores, atol=2e-4)


def test_deleted_fraction_counts_what_still_weighs(tmp_path):
    publish(tmp_path, "1", [(key, "", "word") for key in range(100)])
    assert publish(tmp_path, "2", deletes=range(20), base="1").deleted_fraction == pytest.approx(0.2)
    assert publish(tmp_path, "3", [(1000, "", "x")]).deleted_fraction == 0


def test_an_empty_snapshot(tmp_path):
    snapshot = publish(tmp_path, "1")
    assert (len(snapshot), found(snapshot, "river"), snapshot.deleted_fraction) == (0, [], 0)
    emptied = publish(tmp_path, "3", deletes=[1], base=publish(tmp_path, "2", [(1, "", "x")]) and "2")
    assert (len(emptied), found(emptied, "x")) == (0, [])


def test_unpublished_work_is_gone(tmp_path):
    with LexicalWriter(tmp_path) as writer:
        writer.apply([(1, "", "river")])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StorageError, match="closed"):
        writer.apply([(2, "", "stone")])


def test_a_long_document_and_odd_characters(tmp_path):
    text = "filler " * 500_000 + "needle"
    snapshot = publish(tmp_path, "1", [(1, "\ud800", text), (2, "", "\0 needle 😀"), (3, "", "x" * 100_000)])
    assert sorted(found(snapshot, "needle")) == [1, 2]
    assert len(snapshot) == 3


@pytest.mark.parametrize("key", [-1, 1 << 63])
def test_keys_outside_the_range_are_refused(tmp_path, key):
    with LexicalWriter(tmp_path) as writer, pytest.raises(BadInput, match="document key"):
        writer.apply([(key, "", "river")])


def damage(path, kind):
    data = bytearray(path.read_bytes())
    path.unlink()  # other snapshots may share the file
    if kind == "flip":
        data[len(data) // 2] ^= 4
    if kind == "zero":
        data = bytearray(len(data))
    if kind == "truncate":
        data = data[:-1]
    if kind != "remove":
        path.write_bytes(data)


@pytest.mark.parametrize("kind", ["flip", "zero", "truncate", "remove"])
def test_every_damaged_file_is_refused(tmp_path, kind):
    publish(tmp_path, "1", [(key, "title", f"word{key}") for key in range(50)])
    names = [path.name for path in (tmp_path / "1").iterdir() if path.suffix != ".lock"]
    assert "manifest.json" in names and "meta.json" in names and len(names) > 6
    for name in names:
        copy = tmp_path / f"copy-{name}"
        shutil.copytree(tmp_path / "1", copy)
        if (copy / name).stat().st_size == 0:
            continue
        damage(copy / name, kind)
        with pytest.raises(CorruptView):
            LexicalSnapshot.open(copy)
        with pytest.raises(CorruptView):
            LexicalWriter(tmp_path, base=copy)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".tmp")]


def test_another_analysis_is_refused(tmp_path, monkeypatch):
    publish(tmp_path, "1", [(1, "", "river")])
    monkeypatch.setattr("indexing.lexical.analysis.ANALYSIS_VERSION", 99)
    with pytest.raises(CorruptView, match="another version"):
        LexicalSnapshot.open(tmp_path / "1")
