"""Parts of a file together are the file, wherever it is cut."""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from indexing.bulk.cutting import cut_lines, cut_rows
from indexing.documents.formats import read_file
from indexing.documents.formats.jsonl import is_lines
from indexing.documents.model import Document
from indexing.documents.source import SourceFile

LINES = [
    b'{"text": "plain words"}',
    '{"id": "own", "title": "漢字", "text": "wörter und mehr 🙂"}'.encode(),
    b'{"id": "own", "text": "the same id again"}',
    b'{"text": "two", "n": 1}{"text": "on a line"}',
    '{"text": "a separator \u2028 that ends no line", "tags": ["a", "b"]}'.encode(),
    b'{"text": "broken"',
    b"[1, 2]",
    b'  {"text": "blanks before"}',
    b'\xef\xbb\xbf{"text": "a mark in the middle"}',
    '{"text": "schöne größere Wörter mit einem '.encode() + b'\xff Byte"}',
    b'{"text": "NUL \\u0000 and \x00 here"}',
    b'{"title": "no text"}',
    b"",
    b"   ",
]


def as_read(file: SourceFile) -> list:
    """All that is told of each item, also what does not count where two are compared."""
    return [
        (item.id, item.text, item.title, item.metadata, item.marks) if isinstance(item, Document) else item
        for item in read_file(file)
    ]


def parts_of(path, cuts):
    whole = SourceFile(str(path), path.name, path.name, path.suffix[1:], size=path.stat().st_size)
    return whole, [replace(whole, part=cut.part, size=cut.size) for cut in cuts]


def reader_of(data: bytes):
    return lambda begin, end: data[begin:end]


@pytest.mark.parametrize("seed", range(4))
def test_parts_of_lines_are_the_file_wherever_it_is_cut(tmp_path, seed):
    chance = random.Random(seed)
    path = tmp_path / "a.jsonl"
    for _ in range(40):
        first = [b'\xef\xbb\xbf{"text": "marked"}'] if chance.random() < 0.2 else []
        lines = first + [chance.choice(LINES) for _ in range(chance.randint(1, 30))] + [b'{"text": "end"}']
        data = b"".join(line + chance.choice([b"\n", b"\n", b"\r\n"]) for line in lines)
        data = data if chance.random() < 0.5 else data.rstrip(b"\r\n")
        path.write_bytes(data)
        cuts = cut_lines(
            reader_of(data), len(data), chance.randint(1, 300), chance.randint(1, 8), lambda head: True
        )
        whole, parts = parts_of(path, cuts)
        assert [cut.part.begin for cut in cuts] == [0, *(cut.part.end for cut in cuts[:-1])]
        assert cuts[-1].part.end == len(data) == sum(cut.size for cut in cuts)
        if is_lines(whole):
            assert [item for part in parts for item in as_read(part)] == as_read(whole)


def test_lines_of_a_part_know_their_number_in_the_file(tmp_path):
    data = b'{"text": "one"}\n\n{"text": "three"}\nbroken\n{"text": "five"}'
    (tmp_path / "a.jsonl").write_bytes(data)
    cuts = cut_lines(reader_of(data), len(data), 17, 2, lambda head: True)
    _, parts = parts_of(tmp_path / "a.jsonl", cuts)
    assert [cut.part.first for cut in cuts] == [1, 3, 5]
    third, broken = read_file(parts[1])
    assert (third.id, third.marks[0].value, broken.line) == ("a.jsonl#3", 3, 4)
    assert [item.id for item in read_file(parts[2])] == ["a.jsonl#5"]


def test_a_file_whose_encoding_would_be_guessed_is_read_whole():
    latin = '{"text": "Größe"}\n'.encode("latin-1")
    assert cut_lines(reader_of(latin * 9), len(latin) * 9, 40, 1, lambda head: True) is None
    mended = b'{"text": "sch\xc3\xb6n \xff"}\n'  # one good character for each bad one: it is UTF-8
    assert len(cut_lines(reader_of(mended * 9), len(mended) * 9, 40, 1, lambda head: True)) == 9


def test_a_file_is_cut_only_if_its_first_lines_are_accepted():
    data = b"[\n{}\n,\n{}\n]\n"
    heads = []
    assert cut_lines(reader_of(data), len(data), 5, 1, heads.append) is None
    assert heads == [b"[\n{}\n"]  # which is no True


def test_a_line_of_many_blocks_is_one_part():
    data = b'{"text": "' + b"x" * 1000 + b'"}\n{"text": "short"}\n'
    cuts = cut_lines(reader_of(data), len(data), 64, 100, lambda head: True)
    assert [(cut.part.begin, cut.part.end) for cut in cuts] == [(0, 1013), (1013, len(data))]


@pytest.mark.parametrize("seed", range(3))
def test_parts_of_rows_are_the_file_wherever_it_is_cut(tmp_path, seed):
    chance = random.Random(seed)
    path = tmp_path / "a.parquet"
    for _ in range(10):
        count = chance.randint(1, 400)
        texts = [chance.choice(["words", "wörter", " ", None]) for _ in range(count)]
        table = pa.table(
            {"text": texts, "id": [chance.choice([None, "own"]) for _ in texts], "n": range(count)}
        )
        parquet.write_table(table, path, row_group_size=chance.randint(1, 200))
        metadata = parquet.read_metadata(path)
        groups = [
            (metadata.row_group(at).num_rows, 1000 * at, 1000 * at + 900)
            for at in range(metadata.num_row_groups)
        ]
        cuts = cut_rows(groups, chance.randint(500, 5000), chance.randint(1, 150))
        whole, parts = parts_of(path, cuts)
        assert [item for part in parts for item in as_read(part)] == as_read(whole)


def test_small_groups_of_rows_are_one_part_and_large_ones_several():
    groups = [(10, 0, 100), (10, 100, 200), (10, 200, 300), (100, 300, 900), (5, 900, 950)]
    cuts = cut_rows(groups, 1000, 25)
    told = [(cut.part.first, cut.part.groups, cut.part.skip, cut.part.rows, cut.ranges) for cut in cuts]
    assert told == [
        (1, (0, 2), 0, 20, ((0, 100), (100, 200))),
        (21, (2, 3), 0, 10, ((200, 300),)),
        (31, (3, 4), 0, 25, ((300, 900),)),
        (56, (3, 4), 25, 25, ((300, 900),)),
        (81, (3, 4), 50, 25, ((300, 900),)),
        (106, (3, 4), 75, 25, ((300, 900),)),
        (131, (4, 5), 0, 5, ((900, 950),)),
    ]


def test_lines_are_counted_in_linear_time():
    """A pass reads each byte once, whatever the length of lines: some 1,000 MB/s here, 50 are asked for."""
    line = json.dumps({"text": "some words of a passage " * 20}).encode() + b"\n"
    data = line * (32 * 2**20 // len(line))
    started = time.process_time()
    cuts = cut_lines(reader_of(data), len(data), 4 << 20, 2000, lambda head: True)
    assert len(data) / (time.process_time() - started) > 50e6
    assert cuts[-1].part.first + 2000 > len(data) // len(line)
