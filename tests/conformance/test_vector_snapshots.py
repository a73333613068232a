"""Snapshots of every engine: published, opened, grown from the one before, damaged."""

import os
import shutil

import numpy as np
import pytest

from indexing.errors import BadInput, CorruptView, StorageError
from indexing.names import FILE_ENGINES, PRECISIONS
from indexing.quantization import Codec, normalize
from indexing.storage import blockfile
from indexing.storage.blockfile import BlockArray, write_block_file
from indexing.vectors import engine_class, snapshot
from indexing.vectors.codes import flip
from indexing.vectors.segment import Rows
from indexing.vectors.snapshot import VectorSnapshot, write
from indexing.vectors.together import search_together

ROWS, DIMENSION = 400, 24
KEYS = np.arange(ROWS) * 5 + 3
DOC_KEYS = np.arange(ROWS) // 2


@pytest.fixture(scope="module")
def vectors():
    return normalize(np.random.default_rng(0).normal(size=(ROWS, DIMENSION)))


@pytest.fixture(autouse=True)
def graphs_for_few_rows(monkeypatch):
    """Small segments are scanned, and small indexes; here the engines themselves are to answer."""
    for name in FILE_ENGINES:
        monkeypatch.setattr(engine_class(name), "scan_rows", 50)


def rows_of(codec, vectors, rows=slice(None)):
    return Rows(KEYS[rows], DOC_KEYS[rows], codec.encode(vectors[rows]).codes)


def published(folder, vectors, engine="faiss", precision="int8"):
    codec = Codec.fit(precision, vectors)
    rows = rows_of(codec, vectors)
    write(folder, codec, rows, engine, {"seq": 9})
    return codec, rows.codes


def truth(codec, codes, query):
    return (codec.offset + codec.scale * codes.astype(float)) @ query.astype(float)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("engine", FILE_ENGINES)
def test_everything_comes_back(tmp_path, vectors, engine, precision):
    codec, codes = published(tmp_path / "1-9", vectors, engine, precision)
    found = VectorSnapshot.open(tmp_path / "1-9")
    assert (found.meta, found.engine, found.codec, len(found)) == ({"seq": 9}, engine, codec, ROWS)
    (segment,) = found.segments
    assert (segment.engine, found.gone.tolist()) == (engine, [])
    np.testing.assert_array_equal(segment.keys, KEYS)
    np.testing.assert_array_equal(segment.doc_keys, DOC_KEYS)
    np.testing.assert_array_equal(np.asarray(segment.codes), codes)
    assert segment.codes.dtype == codec.dtype
    scores = truth(codec, codes, vectors[7])
    np.testing.assert_array_equal(segment.index.search(vectors[7], 5).rows, np.argsort(-scores)[:5])
    found.verify()


def test_a_flat_engine_keeps_nothing_beside_the_codes(tmp_path, vectors):
    published(tmp_path / "1-9", vectors)
    assert sorted(p.name for p in (tmp_path / "1-9").iterdir()) == ["manifest.json", "rows-1.bin"]
    (segment,) = VectorSnapshot.open(tmp_path / "1-9").segments
    scanned = segment.index._scanned.span(0, ROWS)
    assert np.shares_memory(scanned, segment.codes.raw[:])


def test_bits_are_mapped_and_those_in_a_file_of_their_own_are_read(tmp_path, vectors, monkeypatch):
    codec, codes = published(tmp_path / "1-9", vectors, precision="ubinary")
    assert sorted(p.name for p in (tmp_path / "1-9").iterdir()) == ["manifest.json", "rows-1.bin"]

    def write_as_before(folder, name, codec, rows, engine, data):
        arrays = {"keys": rows.keys, "doc_keys": rows.doc_keys, "codes": flip(rows.codes)}
        write_block_file(folder / f"rows-{name}.bin", arrays)
        (folder / f"engine-{name}.bin").write_bytes(data)
        return {"name": name, "engine": engine, "rows": len(rows.keys)}

    monkeypatch.setattr(snapshot, "write_segment", write_as_before)
    published(tmp_path / "1-8", vectors, precision="ubinary")
    assert (tmp_path / "1-8" / "engine-1.bin").stat().st_size == ROWS * 3
    for folder in ("1-9", "1-8"):
        (segment,) = VectorSnapshot.open(tmp_path / folder).segments
        scanned = segment.index._scanned.span(0, ROWS)
        np.testing.assert_array_equal(scanned, codec.sign_bits(codes))
        assert isinstance(segment.index._scanned._base, BlockArray) == (folder == "1-9")


@pytest.mark.parametrize("engine", FILE_ENGINES)
def test_few_rows_are_scanned_whatever_the_engine(tmp_path, vectors, engine):
    codec = Codec.fit("int8", vectors)
    write(tmp_path / "1-9", codec, rows_of(codec, vectors, slice(50)), engine, {})
    (segment,) = VectorSnapshot.open(tmp_path / "1-9").segments
    assert segment.engine == "faiss" and segment.index.exact


@pytest.mark.parametrize("engine", FILE_ENGINES)
def test_no_rows(tmp_path, vectors, engine):
    codec = Codec.fit("int8", vectors)
    write(tmp_path / "1-0", codec, rows_of(codec, vectors, slice(0)), engine, {})
    assert VectorSnapshot.open(tmp_path / "1-0").segments == []
    base = VectorSnapshot.open(tmp_path / "1-0")
    write(tmp_path / "1-1", codec, rows_of(codec, vectors), engine, {}, base=base)
    assert live(tmp_path / "1-1")[0] == KEYS.tolist()


def live(folder):
    """Keys, documents and codes of what a snapshot holds."""
    found = VectorSnapshot.open(folder)
    found.verify()
    kept = [np.delete(np.arange(len(s)), found.gone_rows(s, np.empty(0, np.int64))) for s in found.segments]
    keys, documents, codes = [], [], []
    for segment, rows in zip(found.segments, kept, strict=True):
        keys += segment.keys[rows].tolist()
        documents += segment.doc_keys[rows].tolist()
        codes.append(segment.codes[rows])
    return keys, documents, np.concatenate(codes) if codes else []


@pytest.mark.parametrize("precision", ["int8", "float32", "binary"])
@pytest.mark.parametrize("engine", FILE_ENGINES)
def test_grown_snapshots_hold_what_a_whole_one_would(tmp_path, vectors, engine, precision):
    """Rows come in pieces of many sizes, others go: at each step the answers are those of a fresh one."""
    rng = np.random.default_rng(5)
    codec = Codec.fit(precision, vectors)
    base, gone, at, largest = None, np.empty(0, np.int64), 0, 0
    for step, size in enumerate([120, 1, 0, 60, 3, 90, 1, 1, 124]):
        removed = rng.choice(KEYS[:at], min(at, 12), replace=False) if step % 2 else np.empty(0, np.int64)
        gone = np.union1d(gone, removed)
        folder = tmp_path / f"1-{step}"
        write(
            folder,
            codec,
            rows_of(codec, vectors, slice(at, at + size)),
            engine,
            {},
            base=base,
            removed=removed,
        )
        at += size
        base = VectorSnapshot.open(folder)
        expected = rows_of(codec, vectors, np.flatnonzero(~np.isin(KEYS[:at], gone)))
        keys, documents, codes = live(folder)
        assert (keys, documents) == (expected.keys.tolist(), expected.doc_keys.tolist())
        np.testing.assert_array_equal(codes, expected.codes)
        assert set(base.gone.tolist()) <= set(gone.tolist())
        largest = max(largest, len(base.segments))
        for segment in base.segments:
            rows = segment.index.search(vectors[11], 3).rows
            assert len(rows) == min(3, len(segment))
            if segment.index.exact:
                best = np.argsort(
                    -truth(codec, segment.codes[np.arange(len(segment))], vectors[11]), kind="stable"
                )
                np.testing.assert_array_equal(rows, best[:3])
    assert 1 < largest <= 5
    assert {s.engine for s in base.segments} >= {engine}


def test_rows_that_stay_are_not_written_again(tmp_path, vectors):
    codec = Codec.fit("int8", vectors)
    write(tmp_path / "1-1", codec, rows_of(codec, vectors, slice(390)), "usearch", {})
    base = VectorSnapshot.open(tmp_path / "1-1")
    write(tmp_path / "1-2", codec, rows_of(codec, vectors, slice(390, 400)), "usearch", {}, base=base)
    for name in ("rows-1.bin", "engine-1.bin"):
        assert (tmp_path / "1-2" / name).stat().st_ino == (tmp_path / "1-1" / name).stat().st_ino


def test_a_later_snapshot_takes_over_what_is_open(tmp_path, vectors):
    """Its segments are not loaded again; one of another content under the same name is."""
    codec = Codec.fit("int8", vectors)
    write(tmp_path / "1-1", codec, rows_of(codec, vectors, slice(390)), "usearch", {})
    base = VectorSnapshot.open(tmp_path / "1-1")
    graph = base.segments[0].index
    write(tmp_path / "1-2", codec, rows_of(codec, vectors, slice(390, 400)), "usearch", {}, base=base)
    shutil.rmtree(tmp_path / "1-1")
    later = VectorSnapshot.open(tmp_path / "1-2", base)
    assert later.segments[0].index is graph
    more = rows_of(codec, vectors, slice(0))
    write(tmp_path / "1-3", codec, more, "usearch", {}, base=later, removed=KEYS[:3])
    assert live(tmp_path / "1-3")[0] == KEYS[3:].tolist()
    write(tmp_path / "1-4", codec, rows_of(codec, vectors, slice(10, 400)), "usearch", {})
    other = VectorSnapshot.open(tmp_path / "1-4", base)
    assert other.segments[0].index is not graph
    np.testing.assert_array_equal(other.segments[0].keys, KEYS[10:])


def test_a_segment_with_many_holes_is_written_without_them(tmp_path, vectors):
    codec = Codec.fit("int8", vectors)
    write(tmp_path / "1-1", codec, rows_of(codec, vectors), "faiss", {})
    few, many = KEYS[::10], KEYS[::4]
    none = rows_of(codec, vectors, slice(0))
    for folder, removed, left in (("1-2", few, few), ("1-3", many, KEYS[:0])):
        base = VectorSnapshot.open(tmp_path / "1-1")
        write(tmp_path / folder, codec, none, "faiss", {}, base=base, removed=removed)
        assert VectorSnapshot.open(tmp_path / folder).gone.tolist() == left.tolist()
        assert live(tmp_path / folder)[0] == np.setdiff1d(KEYS, removed).tolist()
    write(tmp_path / "1-4", codec, none, "faiss", {}, base=base, removed=KEYS)
    assert VectorSnapshot.open(tmp_path / "1-4").segments == []


def test_segments_that_are_scanned_stay_small(tmp_path, vectors, monkeypatch):
    monkeypatch.setattr(snapshot, "SEGMENT_BYTES", 100 * DIMENSION)
    codec, base = Codec.fit("int8", vectors), None
    for at in range(0, ROWS, 40):
        write(tmp_path / str(at), codec, rows_of(codec, vectors, slice(at, at + 40)), "faiss", {}, base=base)
        base = VectorSnapshot.open(tmp_path / str(at))
    assert [len(segment) for segment in base.segments] == [80] * 5


def damage(path, kind):
    data = bytearray(path.read_bytes())
    if kind == "flip":
        data[-(len(data) // 3)] ^= 16
    if kind == "last":  # of the bits, where there are any
        data[-1] ^= 1
    if kind == "zero":
        data[:] = bytes(len(data))
    if kind == "truncate":
        del data[-5:]
    path.write_bytes(data)
    if kind == "remove":
        path.unlink()


@pytest.mark.parametrize("kind", ["flip", "last", "zero", "truncate", "remove"])
@pytest.mark.parametrize(
    ("engine", "name"),
    [(engine, name) for engine in FILE_ENGINES for name in ("manifest.json", "rows-1.bin", "gone.bin")]
    + [("usearch", "engine-1.bin")],
)
def test_damage_is_found_before_an_answer(tmp_path, vectors, engine, name, kind):
    precision = "binary" if engine == "faiss" else "int8"  # those that keep something beside the codes
    codec, _ = published(tmp_path / "1-8", vectors, engine, precision)
    base, none = VectorSnapshot.open(tmp_path / "1-8"), rows_of(codec, vectors, slice(0))
    write(tmp_path / "1-9", codec, none, engine, {}, base=base, removed=KEYS[:2])
    damage(tmp_path / "1-9" / name, kind)

    def use():
        (segment,) = VectorSnapshot.open(tmp_path / "1-9").segments
        return search_together([(segment.index, None)], vectors[0], 5)

    with pytest.raises(CorruptView):
        use()
    if name != "manifest.json":
        with pytest.raises(CorruptView):
            VectorSnapshot.open(tmp_path / "1-9").verify()


@pytest.mark.parametrize("name", ["rows-1.bin", "engine-1.bin"])
def test_a_damaged_file_gets_no_new_checksum(tmp_path, vectors, name):
    """Whether it is linked or written again."""
    codec, _ = published(tmp_path / "1-1", vectors, "usearch")
    base = VectorSnapshot.open(tmp_path / "1-1")
    damage(tmp_path / "1-1" / name, "flip")
    new = Rows(KEYS + 1, DOC_KEYS, rows_of(codec, vectors).codes)
    for folder, rows in (("1-2", rows_of(codec, vectors, slice(0))), ("1-3", new)):
        with pytest.raises(CorruptView):
            VectorSnapshot.open(grown(tmp_path / folder, codec, rows, base)).segments[0].check_again()


def grown(folder, codec, rows, base):
    write(folder, codec, rows, "usearch", {}, base=base)
    return folder


def test_codes_are_checked_when_they_are_touched(tmp_path, vectors, monkeypatch):
    monkeypatch.setattr(blockfile, "BLOCK_BYTES", 4096)
    _, codes = published(tmp_path / "1-9", vectors)
    path = tmp_path / "1-9" / "rows-1.bin"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    (segment,) = VectorSnapshot.open(tmp_path / "1-9").segments
    np.testing.assert_array_equal(segment.codes[:100], codes[:100])
    with pytest.raises(CorruptView, match="block"):
        segment.codes[np.array([ROWS - 1])]


def test_a_shortened_file_is_refused_before_it_is_mapped(tmp_path, vectors):
    published(tmp_path / "1-9", vectors)
    path = tmp_path / "1-9" / "rows-1.bin"
    os.truncate(path, path.stat().st_size - 5000)
    with pytest.raises(CorruptView, match="were written"):
        VectorSnapshot.open(tmp_path / "1-9")


def test_what_does_not_fit_together_is_refused(tmp_path, vectors):
    codec = Codec.fit("int8", vectors)
    rows = rows_of(codec, vectors)
    with pytest.raises(BadInput, match="400 codes"):
        write(tmp_path / "1", codec, rows._replace(keys=KEYS[:-1]), "faiss", {})
    with pytest.raises(BadInput, match="distinct"):
        write(tmp_path / "1", codec, rows._replace(keys=KEYS // 10), "faiss", {})
    with pytest.raises(BadInput, match="engine"):
        write(tmp_path / "1", codec, rows, "annoy", {})
    with pytest.raises(BadInput, match="codes are"):
        write(tmp_path / "1", codec, rows._replace(codes=rows.codes.astype(np.uint8)), "faiss", {})
    assert list(tmp_path.iterdir()) == []
    write(tmp_path / "1", codec, rows, "faiss", {})
    with pytest.raises(StorageError, match="published already"):
        write(tmp_path / "1", codec, rows, "faiss", {})
