"""Snapshots of every engine: published, opened, damaged."""

import os

import numpy as np
import pytest

from indexing.errors import BadInput, CorruptView, StorageError
from indexing.names import ENGINES, PRECISIONS
from indexing.quantization import Codec, normalize
from indexing.storage import blockfile
from indexing.vectors.snapshot import VectorSnapshot, write

ROWS, DIMENSION = 400, 24
KEYS = np.arange(ROWS) * 5 + 3
DOC_KEYS = np.arange(ROWS) // 2


@pytest.fixture(scope="module")
def vectors():
    return normalize(np.random.default_rng(0).normal(size=(ROWS, DIMENSION)))


def published(folder, vectors, engine="faiss", precision="int8"):
    codec = Codec.fit(precision, vectors)
    codes = codec.encode(vectors).codes
    write(folder, codec, KEYS, DOC_KEYS, codes, engine, {"seq": 9})
    return codec, codes


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("engine", ENGINES)
def test_everything_comes_back(tmp_path, vectors, engine, precision):
    codec, codes = published(tmp_path / "1-9", vectors, engine, precision)
    snapshot = VectorSnapshot.open(tmp_path / "1-9")
    assert (snapshot.meta, snapshot.engine, snapshot.codec, len(snapshot)) == (
        {"seq": 9},
        engine,
        codec,
        ROWS,
    )
    np.testing.assert_array_equal(snapshot.keys, KEYS)
    np.testing.assert_array_equal(snapshot.doc_keys, DOC_KEYS)
    np.testing.assert_array_equal(np.asarray(snapshot.codes), codes)
    scores = (codec.offset + codec.scale * codes.astype(float)) @ vectors[7].astype(float)
    np.testing.assert_array_equal(snapshot.index.search(vectors[7], 5).rows, np.argsort(-scores)[:5])
    snapshot.verify()


def test_no_rows(tmp_path, vectors):
    codec = Codec.fit("int8", vectors)
    none = np.empty(0, np.int64)
    write(tmp_path / "1-0", codec, none, none, codec.encode(vectors[:0]).codes, "usearch", {})
    snapshot = VectorSnapshot.open(tmp_path / "1-0")
    assert len(snapshot) == 0 and len(snapshot.index.search(vectors[0], 3).rows) == 0


def damage(path, kind):
    data = bytearray(path.read_bytes())
    if kind == "flip":
        data[-(len(data) // 3)] ^= 16
    if kind == "zero":
        data[:] = bytes(len(data))
    if kind == "truncate":
        del data[-5:]
    path.write_bytes(data)
    if kind == "remove":
        path.unlink()


@pytest.mark.parametrize("kind", ["flip", "zero", "truncate", "remove"])
@pytest.mark.parametrize("name", ["manifest.json", "rows.bin", "engine.bin"])
@pytest.mark.parametrize("engine", ENGINES)
def test_damage_is_found_before_an_answer(tmp_path, vectors, engine, name, kind):
    published(tmp_path / "1-9", vectors, engine)
    damage(tmp_path / "1-9" / name, kind)

    def use():
        snapshot = VectorSnapshot.open(tmp_path / "1-9")
        return snapshot.index.search(vectors[0], 5)

    with pytest.raises(CorruptView):
        use()
    if name != "manifest.json":
        with pytest.raises(CorruptView):
            VectorSnapshot.open(tmp_path / "1-9").verify()


def test_codes_are_checked_when_they_are_touched(tmp_path, vectors, monkeypatch):
    monkeypatch.setattr(blockfile, "BLOCK_BYTES", 4096)
    _, codes = published(tmp_path / "1-9", vectors)
    path = tmp_path / "1-9" / "rows.bin"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    snapshot = VectorSnapshot.open(tmp_path / "1-9")
    np.testing.assert_array_equal(snapshot.codes[:100], codes[:100])
    with pytest.raises(CorruptView, match="block"):
        snapshot.codes[np.array([ROWS - 1])]


def test_a_shortened_file_is_refused_before_it_is_mapped(tmp_path, vectors):
    published(tmp_path / "1-9", vectors)
    path = tmp_path / "1-9" / "rows.bin"
    os.truncate(path, path.stat().st_size - 5000)
    with pytest.raises(CorruptView, match="were written"):
        VectorSnapshot.open(tmp_path / "1-9")


def test_what_does_not_fit_together_is_refused(tmp_path, vectors):
    codec = Codec.fit("int8", vectors)
    codes = codec.encode(vectors).codes
    with pytest.raises(BadInput, match="400 codes"):
        write(tmp_path / "1", codec, KEYS[:-1], DOC_KEYS, codes, "faiss", {})
    with pytest.raises(BadInput, match="ascend"):
        write(tmp_path / "1", codec, KEYS[::-1], DOC_KEYS, codes, "faiss", {})
    with pytest.raises(BadInput, match="engine"):
        write(tmp_path / "1", codec, KEYS, DOC_KEYS, codes, "annoy", {})
    assert list(tmp_path.iterdir()) == []
    published(tmp_path / "1", vectors)
    with pytest.raises(StorageError, match="published already"):
        published(tmp_path / "1", vectors)
