"""Every type of Arrow that a Parquet file may hold: kept as what it is, or said to be left out."""

from __future__ import annotations

import io
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest

from indexing.documents import Document
from indexing.documents.formats import read_file
from indexing.documents.source import SourceFile

arrow = pytest.importorskip("pyarrow")
NOON = datetime(2024, 5, 1, 12)


def read(table, **how) -> tuple[list, list[str]]:
    import pyarrow.parquet

    stream = io.BytesIO()
    pyarrow.parquet.write_table(table, stream, **how)
    data = stream.getvalue()
    file = SourceFile("a.parquet", "a.parquet", "a.parquet", "parquet", size=len(data), data=data)
    return list(read_file(file)), file.notes


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (arrow.uint64(), 2**64 - 1, 2**64 - 1),
        (arrow.float16(), 0.5, 0.5),
        (arrow.decimal128(10, 2), Decimal("2.50"), 2.5),
        (arrow.decimal128(30, 0), Decimal(10**25), 10**25),
        (arrow.date32(), NOON.date(), "2024-05-01"),
        (arrow.timestamp("ns"), NOON, "2024-05-01T12:00:00"),
        (arrow.timestamp("ms", tz="UTC"), NOON.replace(tzinfo=timezone.utc), "2024-05-01T12:00:00Z"),
        (arrow.time64("ns"), time(10, 30), "10:30:00"),
        (arrow.duration("ns"), timedelta(minutes=1), 60),
        (arrow.large_string(), "y", "y"),
        (arrow.string_view(), "y", "y"),
        (arrow.dictionary(arrow.int8(), arrow.string()), "y", "y"),
        (arrow.binary(), b"caf\xc3\xa9", "café"),
        (arrow.list_(arrow.int64()), [1, None], [1, None]),
        (arrow.list_(arrow.date32()), [date(2024, 5, 1)], ["2024-05-01"]),
        (arrow.struct({"a": arrow.int8(), "b": arrow.string()}), {"a": 1, "b": None}, {"a": 1, "b": None}),
        (arrow.map_(arrow.string(), arrow.int8()), [("k", 1)], {"k": 1}),
        (arrow.list_(arrow.struct({"a": arrow.bool_()})), [{"a": True}], [{"a": True}]),
    ],
    ids=str,
)
def test_what_is_kept(kind, value, kept):
    table = arrow.table({"id": ["1"], "text": ["x"], "v": arrow.array([value], kind)})
    (document,), notes = read(table)
    assert (document.id, document.metadata, notes) == ("1", {"v": kept}, [])


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (arrow.binary(), b"\xff\x00", "bytes"),
        (arrow.float64(), float("inf"), "NaN, Infinity or numbers of more than 308 digits"),
        (arrow.list_(arrow.float32(), 64), [0.5] * 64, "a vector"),
        (arrow.list_(arrow.list_(arrow.float32())), [[0.5] * 64], "a vector"),
    ],
    ids=str,
)
def test_what_is_left_out(kind, value, reason):
    table = arrow.table({"id": ["1"], "text": ["x"], "v": arrow.array([value], kind)})
    assert read(table) == (
        [Document("1", "x")],
        [f"column 'v' was left out of the metadata where it holds {reason}"],
    )


def test_moments_that_no_calendar_has_are_said():
    moments = arrow.array([2**55, 0], arrow.timestamp("ms"))
    table = arrow.table({"id": ["1", "2"], "text": ["x", "y"], "v": moments})
    assert read(table) == (
        [Document("1", "x"), Document("2", "y\n\nv: 1970-01-01T00:00:00", "", {"v": "1970-01-01T00:00:00"})],
        ["column 'v' was left out of the metadata where it holds a TimestampScalar"],
    )


def test_ids_and_texts_of_other_types():
    table = arrow.table(
        {
            "id": arrow.array([101.0, None, 2.5]),
            "text": arrow.array([["Bees", "find"], ["Ants"], None]),
            "title": arrow.array([1984, None, 7]),
        }
    )
    assert read(table)[0] == [
        Document("101", "Bees\nfind", "1984"),
        Document("a.parquet#2", "Ants"),
        Document("2.5", "7"),
    ]
    assert read(arrow.table({"id": [1, 2], "text": [b"Bees", b"Ants"]}))[0] == [
        Document("1", "Bees"),
        Document("2", "Ants"),
    ]


def test_columns_of_the_same_name():
    table = arrow.Table.from_arrays([arrow.array(["Bees"]), arrow.array(["Ants"])], ["text", "text"])
    assert read(table)[0] == [
        Document("a.parquet#1", "Bees\n\ntext (column 2): Ants", "", {"text (column 2)": "Ants"})
    ]


def test_lists_of_texts_over_several_groups_of_rows():
    """Each group has a dictionary of its own."""
    table = arrow.table({"text": [f"Bees {n}" for n in range(6)], "tags": [["a"], ["b2"]] * 3})
    items, notes = read(table, row_group_size=2)
    assert [(item.id, item.metadata["tags"]) for item in items] == [
        (f"a.parquet#{n + 1}", ["b2"] if n % 2 else ["a"]) for n in range(6)
    ]
    assert notes == []
