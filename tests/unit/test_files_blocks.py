"""Memory-mapped arrays with a checksum per block."""

import mmap
import os

import numpy as np
import pytest

from indexing.errors import CorruptView
from indexing.storage import blockfile
from indexing.storage.blockfile import BlockFile, write_block_file

BLOCK = 4096


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blockfile, "BLOCK_BYTES", BLOCK)


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "keys": np.arange(1000, dtype=np.int64) * 3,
        "codes": rng.integers(-128, 128, (1000, 33), dtype=np.int8),
        "scores": rng.normal(size=1000).astype(np.float32),
        "none": np.empty((0, 7), dtype=np.uint8),
    }


@pytest.fixture
def path(tmp_path, arrays):
    write_block_file(tmp_path / "rows.bin", arrays)
    return tmp_path / "rows.bin"


def test_arrays_come_back_equal(path, arrays):
    file = BlockFile(path)
    file.check_all()
    for name, array in arrays.items():
        assert file[name].dtype == array.dtype and file[name].shape == array.shape
        np.testing.assert_array_equal(np.asarray(file[name]), array)


def test_rows_slices_masks_and_single_rows(path, arrays):
    codes = arrays["codes"]
    rows = np.array([999, 0, 500, 500])
    mask = np.arange(1000) % 7 == 0
    for key in (slice(10, 20), slice(None), slice(5, 5), slice(0, 900, 3), rows, mask, 3, -1):
        np.testing.assert_array_equal(BlockFile(path)["codes"][key], codes[key])
    assert BlockFile(path)["codes"][rows[:0]].shape == (0, 33)


def test_only_touched_blocks_are_checked(path, arrays):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    start = len(data) - arrays["scores"].nbytes
    data[start] ^= 1  # first value of `scores`
    path.write_bytes(data)
    file = BlockFile(path)
    np.testing.assert_array_equal(file["codes"][:800], arrays["codes"][:800])
    with pytest.raises(CorruptView, match="block"):
        file["scores"][:]


@pytest.mark.parametrize("block_bytes", [4096, 16_384, 4 << 20])
def test_the_writer_chooses_how_much_is_checked_at_once(tmp_path, block_bytes):
    codes = np.random.default_rng(1).integers(0, 256, (5000, 32), dtype=np.uint8)
    path = tmp_path / "rows.bin"
    write_block_file(path, {"codes": codes}, block_bytes)
    np.testing.assert_array_equal(BlockFile(path)["codes"][np.array([0, 4999, 700])], codes[[0, 4999, 700]])
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    in_the_last = np.arange(5000) * 32 // block_bytes == (codes.nbytes - 1) // block_bytes
    whole = BlockFile(path)["codes"]
    np.testing.assert_array_equal(whole[~in_the_last], codes[~in_the_last])
    with pytest.raises(CorruptView, match="block"):
        whole[np.flatnonzero(in_the_last)[:1]]


def test_every_flipped_bit_is_found(path):
    whole = path.read_bytes()
    for position in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        try:
            file = BlockFile(path)
            file.check_all()
        except CorruptView:
            continue
        header_end = len(whole) - file._data_bytes
        assert position < header_end and whole[position] == 0, "only the padding behind the header is free"


@pytest.mark.parametrize("size", [0, 1, 15, 16, 100, 4096, -1, -5000])
def test_every_truncation_is_found(path, size):
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    with pytest.raises(CorruptView):
        BlockFile(path)


def test_zeroed_grown_and_missing_files_are_corrupt(path):
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CorruptView, match="were written"):
        BlockFile(path)
    path.write_bytes(bytes(size))
    with pytest.raises(CorruptView, match="not a block file"):
        BlockFile(path)
    path.unlink()
    with pytest.raises(CorruptView, match="missing"):
        BlockFile(path)


def test_truncation_after_opening_is_found_before_the_pages_are_touched(path):
    file = BlockFile(path)
    os.truncate(path, 4096)
    with pytest.raises(CorruptView, match="truncated while in use"):
        file["codes"][:]


def test_truncation_after_every_block_was_checked_is_found(path):
    file = BlockFile(path)
    file.check_all()
    codes = file["codes"]
    os.truncate(path, 4096)
    for rows in (slice(0, 1), np.array([0]), np.array([], np.int64), 0):
        with pytest.raises(CorruptView, match="truncated while in use"):
            codes[rows]


def test_what_was_checked_can_be_checked_again(path):
    file = BlockFile(path)
    file.check_all()
    with path.open("r+b") as handle:
        handle.seek(file._start + 100)
        handle.write(b"\xff" * 8)
    file.check_all()
    with pytest.raises(CorruptView, match="does not match its checksum"):
        file.check_again()


def test_a_file_that_lost_its_name_is_read_on(path, arrays):
    file = BlockFile(path)
    path.unlink()
    np.testing.assert_array_equal(file["codes"][:], arrays["codes"])


def test_unknown_array(path):
    with pytest.raises(CorruptView, match="no array 'nothing'"):
        BlockFile(path)["nothing"]


def test_a_file_without_rows(tmp_path):
    write_block_file(tmp_path / "e.bin", {"keys": np.empty(0, np.int64), "codes": np.empty((0, 8), np.int8)})
    file = BlockFile(tmp_path / "e.bin")
    assert np.asarray(file["codes"]).shape == (0, 8) and len(file["keys"]) == 0


def test_read_only(path):
    with pytest.raises(ValueError, match="read-only"):
        BlockFile(path)["codes"][:5][0, 0] = 1


@pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="this system takes no advice")
@pytest.mark.parametrize("refused", [False, True])
def test_advice_begins_at_pages_of_the_system_and_may_be_refused(path, arrays, monkeypatch, refused):
    advised = []

    class Mapping:
        def size(self):
            return path.stat().st_size

        def madvise(self, _advice, start, length):
            advised.append((start, start + length))
            if refused:
                raise OSError(22, "Invalid argument")

    file = BlockFile(path)
    monkeypatch.setattr(file, "_mapping", Mapping())
    monkeypatch.setattr(mmap, "PAGESIZE", 16384)
    rows = np.array([990, 10, 400])
    np.testing.assert_array_equal(file["codes"][rows], arrays["codes"][rows])
    assert advised and all(start % 16384 == 0 < stop - start for start, stop in advised)
