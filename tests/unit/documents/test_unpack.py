"""Compressed files: what is in them, in the sizes that a stream is read by, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib

import pytest

from indexing.documents.unpack import FREE, most_bytes, packing_of, unpack, unpacked_name
from indexing.documents.unreadable import Unreadable


def zstd(data: bytes) -> bytes:
    return pytest.importorskip("backports.zstd").compress(data)


PACK = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}
packings = pytest.mark.parametrize("packing", PACK)
WORDS = random.Random(7).randbytes(300_000)


def unpacked(packed: bytes, packing: str) -> bytes:
    with unpack(io.BytesIO(packed), packing, len(packed)) as stream:
        return stream.read()


def test_names():
    assert [packing_of(name) for name in ("a.txt", "a.csv.gz", "b.XZ", "c.bz2", "d.zst", "gz")] == [
        None,
        "gzip",
        "xz",
        "bzip2",
        "zstd",
        None,
    ]
    assert unpacked_name("docs/a.csv.gz") == "docs/a.csv"
    assert unpacked_name("docs/a.csv") == "docs/a.csv"


@packings
@pytest.mark.parametrize("data", [b"", b"one", b"one\ntwo\n" * 40_000, WORDS], ids=len)
def test_what_is_inside_comes_out(packing, data):
    assert unpacked(PACK[packing](data), packing) == data


@packings
def test_two_streams_one_after_the_other(packing):
    pack = PACK[packing]
    assert unpacked(pack(b"one ") + pack(WORDS) + pack(b"two"), packing) == b"one " + WORDS + b"two"


def test_padding_between_xz_streams_and_old_lzma():
    assert unpacked(lzma.compress(b"a") + b"\x00" * 8 + lzma.compress(b"b") + b"\x00" * 4, "xz") == b"ab"
    assert unpacked(lzma.compress(WORDS, format=lzma.FORMAT_ALONE), "xz") == WORDS


@packings
def test_a_stream_is_peeked_into_and_read_by_lines(packing):
    packed = PACK[packing](b"one\ntwo\nthree")
    source = io.BytesIO(packed)
    with unpack(source, packing, len(packed)) as stream:
        assert stream.peek(2)[:3] == b"one"
        assert list(stream) == [b"one\n", b"two\n", b"three"]
    assert source.closed


@packings
def test_a_cut_off_file_is_refused(packing):
    packed = PACK[packing](WORDS)
    with pytest.raises(Unreadable, match=f"is cut off: the {packing} data has no end"):
        unpacked(packed[: len(packed) // 2], packing)


@packings
@pytest.mark.parametrize("data", [b"no such thing at all", b"\x01" * 100, WORDS[:1000]])
def test_what_is_not_compressed_is_refused(packing, data):
    with pytest.raises(Unreadable, match=f"is not valid {packing} data"):
        unpacked(data, packing)


@pytest.mark.parametrize(
    "packing", ["gzip", "bzip2", "xz"]
)  # zstd has a checksum only if its writer wants it
def test_damage_in_the_middle_never_gives_other_bytes_silently(packing):
    packed = bytearray(PACK[packing](WORDS))
    packed[len(packed) // 2] ^= 0xFF
    with pytest.raises(Unreadable, match=r"is not valid|is cut off"):
        unpacked(bytes(packed), packing)


@packings
def test_a_bomb_is_refused_when_it_has_unpacked_too_much(packing):
    packed = PACK[packing](bytes(FREE + 1))
    size = len(packed)
    assert most_bytes(size) == FREE
    lengths: list[int] = []
    with unpack(io.BytesIO(packed), packing, size) as stream:
        pieces = iter(lambda: stream.read(2**20), b"")
        with pytest.raises(Unreadable) as refused:
            lengths.extend(map(len, pieces))
    stored = f"{size / 1000:.0f} kB" if size >= 1000 else f"{size} bytes"
    assert str(refused.value) == (
        f"unpacks to more than 67 MB from {stored}: such a file is made to fill memory, and was left out"
    )
    assert FREE - 2**20 <= sum(lengths) <= FREE


def test_an_xz_file_that_asks_for_a_dictionary_of_a_gigabyte_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 2**30}]
    packer = lzma.LZMACompressor(filters=[{**filters[0], "dict_size": 2**20}])
    packed = bytearray(packer.compress(b"one") + packer.flush())
    packed[packed.index(b"\x21\x01", 12) + 2] = 36  # the size of the dictionary: 2 GiB
    length = (packed[12] + 1) * 4
    packed[12 + length - 4 : 12 + length] = zlib.crc32(packed[12 : 12 + length - 4]).to_bytes(4, "little")
    with pytest.raises(Unreadable, match="is not valid xz data: Memory usage limit exceeded"):
        unpacked(bytes(packed), "xz")
