"""Tables whose quotes and brackets are never closed, and very wide ones, take time in proportion to them."""

from __future__ import annotations

import pytest

from indexing.documents.formats import read_file
from indexing.documents.source import SourceFile
from tests.unit.test_linear_time import is_linear


def reads(kind: str, name: str, before: str):
    def read(text: str) -> None:
        data = (before + text).encode()
        for _ in read_file(SourceFile(name, name, name, kind, size=len(data), data=data)):
            pass

    return read


CSV, TSV = reads("delimited", "a.csv", "id,text\n"), reads("delimited", "a.tsv", "id\ttext\n")
STREAM = reads("jsonl", "a.jsonl", "[\n")
JSON, HEADER = reads("jsonl", "a.jsonl", ""), reads("delimited", "a.csv", "")


PIECES = {
    CSV: ('1,"a\n', '"""x,a\n', '1,"a\\"b\n', '1,"\\"\n', "1,a\r", '"\n', ",", "\\"),
    TSV: ('1\t"a\n', '1\t"a\tb\n', '"\t', '1\t"a\nb"\n'),
    JSON: ("[\n", '{"a":[\n', '{"text":"x"} ', '{"text":"x"},\n', '"', "\\", '{"', "{"),
    STREAM: ('\\"', '"', '{"', '{"\\"', "}", "]", '{"a":"b"},'),
    HEADER: ("a,", '"', "sep=;\n", "#\n", "a "),
}


@pytest.mark.parametrize(
    ("read", "piece"), [(read, piece) for read, pieces in PIECES.items() for piece in pieces]
)
def test_twice_the_table_takes_twice_the_time(read, piece):
    assert is_linear(read, piece)


def test_ever_new_names_take_linear_time():
    def read(text: str) -> None:
        rows = "".join(f'{{"text":"x","c{number}":"y"}}\n' for number in range(len(text)))
        JSON(rows)

    assert is_linear(read, "x")
