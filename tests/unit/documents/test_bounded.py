"""What expands costs itself alone: zip containers, Parquet tables, whatever says once what it means often."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import PurePath

import pytest

from indexing.documents import Document, Skipped, read_paths
from indexing.documents.formats.bounded import (
    FREE,
    MAX_MEMBERS,
    bounded_items,
    check_parquet,
    open_zip,
    read_bounded,
    read_member,
)
from indexing.documents.source import SourceFile
from indexing.documents.unreadable import Unreadable

BOMB = "such a file is made to fill memory, and was left out"


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as container:
        for name, data in members.items():
            container.writestr(name, data)
    return stream.getvalue()


def opened(data: bytes) -> zipfile.ZipFile:
    return open_zip(io.BytesIO(data), len(data))


class TestZip:
    @pytest.mark.parametrize(
        "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
    )
    def test_members_are_read_whole(self, method):
        with opened(zipped({"a.txt": b"one", "b/c.txt": b"two" * 1000}, method)) as container:
            assert read_member(container, "a.txt") == b"one"
            assert read_member(container, container.infolist()[1]) == b"two" * 1000
            with pytest.raises(KeyError):
                read_member(container, "d.txt")

    def test_a_member_of_many_megabytes_is_refused_before_it_is_unpacked(self):
        data = zipped({"word/document.xml": bytes(FREE + 1)})
        with pytest.raises(Unreadable) as refused:
            opened(data)
        assert str(refused.value) == f"unpacks to more than 67 MB from {len(data) // 1000} kB: {BOMB}"

    def test_members_that_are_small_and_many(self):
        data = zipped({f"{number}.txt": bytes(2**20) for number in range(65)})
        with pytest.raises(Unreadable, match=r"unpacks to more than 67 MB from 7\d kB"):
            opened(data)
        data = zipped(dict.fromkeys(map(str, range(MAX_MEMBERS + 1)), b""), zipfile.ZIP_STORED)
        with pytest.raises(Unreadable, match="holds 20,001 files, a container may have 20,000"):
            opened(data)

    def test_a_size_that_lies_gives_no_more_than_it_says(self):
        data = bytearray(zipped({"a": bytes(FREE * 2)}))
        directory = data.index(b"PK\x01\x02")
        data[directory + 24 : directory + 28] = (100).to_bytes(4, "little")  # the size, unpacked
        with (
            opened(bytes(data)) as container,
            pytest.raises(Unreadable, match="a cannot be unpacked: Bad CRC-32"),
        ):
            read_member(container, "a")

    def test_one_member_may_be_held_to_less(self):
        with opened(zipped({"a": b"x" * 1001})) as container:
            with pytest.raises(Unreadable, match="a unpacks to 1 kB, 1 kB are allowed"):
                read_member(container, "a", 1000)
            assert read_member(container, "a", 1001) == b"x" * 1001

    def test_damaged_and_encrypted_containers(self):
        whole = zipped({"a.txt": b"one two three " * 100})
        for damaged in (b"", b"PK\x03\x04", whole[:-30], b"\x00" * 1000):
            with pytest.raises(Unreadable, match="is not a valid zip container"):
                opened(damaged)
        flipped = bytearray(whole)
        flipped[45] ^= 0xFF
        with (
            opened(bytes(flipped)) as container,
            pytest.raises(Unreadable, match=r"a\.txt cannot be unpacked"),
        ):
            read_member(container, "a.txt")
        locked = bytearray(whole)
        locked[whole.index(b"PK\x01\x02") + 8] |= 1
        with opened(bytes(locked)) as container, pytest.raises(Unreadable, match="is encrypted"):
            read_member(container, "a.txt")

    def test_read_bounded(self):
        assert read_bounded(io.BytesIO(b"123"), 3) == b"123"
        with pytest.raises(Unreadable, match="has more than 3 bytes in one piece; split it"):
            read_bounded(io.BytesIO(b"1234"), 3)


class TestItems:
    def file(self, size: int) -> SourceFile:
        return SourceFile("/a", "a", "a", "text", size)

    def test_as_many_characters_as_a_file_of_the_size_can_mean(self):
        big = "x" * (FREE // 4)
        items = [Document(str(number), big) for number in range(5)]
        passed = []
        with pytest.raises(Unreadable, match=f"unfolds to more than 67 MB from 2 kB: {BOMB}"):
            passed.extend(bounded_items(iter(items), self.file(2000)))
        assert list(bounded_items(items, self.file(2**20))) == items

    def test_titles_fields_and_skipped_rows_count_too(self):
        big = "x" * (FREE // 2)
        for item in (Document("a", "", big), Document("a", "", "", {"f": big})):
            with pytest.raises(Unreadable, match="unfolds"):
                list(bounded_items([item, item], self.file(9)))
        endless = iter(lambda: Skipped("a", 1, "no text in it"), None)
        with pytest.raises(Unreadable, match="unfolds"):
            for _ in bounded_items(endless, self.file(9)):
                pass


class TestParquet:
    @pytest.fixture(autouse=True)
    def _pyarrow(self):
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow: pip install pyarrow")

    def check(self, tmp_path, columns, **options) -> int:
        """Write a table, check it, return its size."""
        import pyarrow
        from pyarrow import parquet

        path = tmp_path / "a.parquet"
        parquet.write_table(pyarrow.table(columns), path, **options)
        check_parquet(lambda: path.open("rb"), path.stat().st_size)
        return path.stat().st_size

    def test_ordinary_tables_pass(self, tmp_path):
        texts = [f"text number {number} " * 5 for number in range(5000)]
        self.check(tmp_path, {"text": texts, "lang": ["en", "de"] * 2500, "n": list(range(5000))})
        self.check(
            tmp_path, {"tags": [["a", "b"], []] * 100, "deep": [{"a": "x", "b": [{"c": "y"}]}, None] * 100}
        )
        self.check(tmp_path, {"text": []})

    @pytest.mark.parametrize(
        "shape",
        [lambda text: text, lambda text: [text], lambda text: {"a": text}, lambda text: [{"a": text}]],
        ids=["text", "list", "object", "list of objects"],
    )
    def test_a_text_that_is_written_once_and_meant_often(self, tmp_path, shape):
        with pytest.raises(Unreadable, match=f"unfolds to more than 67 MB from .*: {BOMB}"):
            self.check(tmp_path, {"text": [shape("bread " * 1000)] * 20_000})

    def test_texts_that_repeat_the_beginning_of_the_one_before(self, tmp_path):
        options = {
            "use_dictionary": False,
            "column_encoding": {"text": "DELTA_BYTE_ARRAY"},
            "compression": "zstd",
        }
        with pytest.raises(Unreadable, match="unfolds to more than 67 MB"):
            self.check(tmp_path, {"text": ["bread " * 1000] * 20_000}, **options)

    def test_rows_without_end(self, tmp_path):
        import pyarrow

        nothing = pyarrow.nulls(2_000_000, pyarrow.string())
        with pytest.raises(Unreadable, match="unfolds to more than 67 MB"):
            self.check(tmp_path, {"text": nothing})


class TestFiles:
    """Through the reader, as a person's files come: a bomb is one skip, its neighbours are read."""

    def read(self, tmp_path, **files: bytes) -> list[Document | Skipped]:
        for name, data in files.items():
            (tmp_path / name.replace("_", ".")).write_bytes(data)
        items = list(read_paths([tmp_path]))
        return [
            Skipped(PurePath(i.source).name, i.line, i.reason) if isinstance(i, Skipped) else i for i in items
        ]

    def test_compressed_files_are_read_as_what_is_in_them(self, tmp_path):
        assert self.read(
            tmp_path,
            a_txt_gz=gzip.compress(b"one"),
            b_md_xz=lzma.compress(b"# Two\n\nthree"),
            c_jsonl_bz2=bz2.compress(b'{"id": "c", "text": "four"}\n'),
            d_csv_zst=pytest.importorskip("backports.zstd").compress(b"id,text\nd,five\n"),
        ) == [
            Document("a.txt.gz", "one"),
            Document("b.md.xz", "Two\n\nthree", "Two"),
            Document("c", "four"),
            Document("d", "five"),
        ]

    def test_bombs_of_every_kind_cost_one_skip_each(self, tmp_path):
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        table = io.BytesIO()
        indices = pyarrow.array([0] * 500_000, pyarrow.int32())
        texts = pyarrow.DictionaryArray.from_arrays(indices, ["bread " * 1000])
        parquet.write_table(pyarrow.table({"text": texts}), table)
        assert len(table.getvalue()) < 4000  # 3 GB of text
        bread = b"bread " * (FREE // 6 + 1)
        pieces = FREE // 600_000 + 1  # streams one after the other: quicker to pack than one
        items = self.read(
            tmp_path,
            a_txt=b"before",
            b_txt_gz=gzip.compress(bread),
            c_jsonl_xz=lzma.compress(bread[:600_000]) * pieces,
            d_csv_zst=pytest.importorskip("backports.zstd").compress(bread),
            e_html_bz2=bz2.compress(bread[:600_000]) * pieces,
            f_parquet=table.getvalue(),
            g_parquet_gz=gzip.compress(table.getvalue()),
            h_txt=b"after",
        )
        reasons = [item.reason if isinstance(item, Skipped) else item.text for item in items]
        assert [reasons[0], reasons[-1]] == ["before", "after"]
        assert [item.source for item in items[1:-1]] == [
            "b.txt.gz", "c.jsonl.xz", "d.csv.zst", "e.html.bz2", "f.parquet", "g.parquet.gz",
        ]  # fmt: skip
        assert [reason for reason in reasons[1:-1] if not reason.endswith(BOMB)] == []
