"""The same table is the same documents however it is written, and what metadata keeps survives every way."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, datetime, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexing.documents import Document, Skipped
from indexing.documents.formats import read_file
from indexing.documents.source import SourceFile
from indexing.documents.storable import storable_value

pyarrow = pytest.importorskip("pyarrow")

# Words that no column of numbers or booleans could hold, with what tables are written with.
words = st.text(st.sampled_from("abßü界😀 ,;|\t\"'\n\\#="), max_size=20).map(lambda text: f"w{text}w")
KINDS = {
    "customer": words,
    "order_no": st.integers(-(10**17), 10**17),
    "Note": words,
    "stars": st.integers(0, 5),
    "open": st.booleans(),
    "ratio": st.integers(-400, 400).map(lambda quarters: quarters / 4),
}


@st.composite
def tables(draw):
    """Columns by name. A number or boolean is in every row, as a column without any has no kind in CSV."""
    names = draw(st.lists(st.sampled_from(list(KINDS)), unique=True))
    rows = draw(st.integers(1, 5))
    table = {
        "id": [f"r{number}" for number in range(rows)],
        "title": draw(st.lists(st.none() | words, min_size=rows, max_size=rows)),
        "text": draw(st.lists(words, min_size=rows, max_size=rows)),
    }
    for name in names:
        cells = KINDS[name] if KINDS[name] is not words else st.none() | words
        table[name] = draw(st.lists(cells, min_size=rows, max_size=rows))
    return table


def read(folder, name: str, kind: str, content: bytes) -> list[Document | Skipped]:
    path = folder / name
    path.write_bytes(content)
    return list(read_file(SourceFile(str(path), name, name, kind, size=len(content))))


def as_csv(table, separator: str, end: str, quoting: int) -> bytes:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(table)
    for row in zip(*table.values(), strict=True):
        writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in row])
    return stream.getvalue().encode()


def as_jsonl(table) -> bytes:
    rows = (dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_parquet(table) -> bytes:
    import pyarrow.parquet

    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(table), stream)
    return stream.getvalue()


# The same tables each time: some can be read by another separator too, with which they look as regular.
@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    tables(),
    st.sampled_from(",;|\t"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_csv_jsonl_and_parquet_give_the_same_documents(tmp_path_factory, table, separator, end, quoting):
    folder = tmp_path_factory.mktemp("table")
    from_jsonl = read(folder, "a.jsonl", "jsonl", as_jsonl(table))
    assert [document.id for document in from_jsonl] == table["id"]
    assert read(folder, "a.csv", "delimited", as_csv(table, separator, end, quoting)) == from_jsonl
    assert read(folder, "a.parquet", "parquet", as_parquet(table)) == from_jsonl


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.just(timezone.utc))
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)
)
names = st.text(min_size=1, max_size=5).filter(str.strip)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(names, values, max_size=4), st.just("") | st.text(max_size=20).filter(str.strip))
def test_metadata_survives_export_and_import(tmp_path_factory, metadata, title):
    stored = Document.from_any({"id": "a", "text": "Dough.", "title": title, "metadata": metadata})
    told = {"id": stored.id, "title": stored.title, "text": stored.text, "metadata": stored.metadata}
    line = json.dumps(told, ensure_ascii=False).encode()
    (document,) = read(tmp_path_factory.mktemp("export"), "a.jsonl", "jsonl", line + b"\n")
    assert Document.from_any(document) == stored


@given(values)
def test_what_is_stored_stays_what_it_is(value):
    ok, stored = storable_value(value)
    assert ok
    assert storable_value(stored) == (True, stored)
    assert json.loads(json.dumps(stored)) == stored


@given(st.dates(), st.datetimes(), st.integers(-(10**9), 10**9))
def test_moments_and_decimals_are_read_back(day, moment, cents):
    assert date.fromisoformat(storable_value(day)[1]) == day
    assert datetime.fromisoformat(storable_value(moment)[1]) == moment
    assert Decimal(str(storable_value(Decimal(cents) / 100)[1])) == Decimal(cents) / 100


noise = st.text(st.sampled_from('ab12,;\t|"\\\n\r {}[]:#='), max_size=200)


@settings(deadline=None, max_examples=300)
@given(noise, st.sampled_from([("a.csv", "delimited"), ("a.tsv", "delimited"), ("a.jsonl", "jsonl")]))
def test_noise_is_read_or_told_never_a_fault(tmp_path_factory, text, kind):
    items = read(tmp_path_factory.mktemp("noise"), *kind, text.encode())
    assert not [item for item in items if isinstance(item, Skipped) and "cannot be parsed" in item.reason]
    assert items
