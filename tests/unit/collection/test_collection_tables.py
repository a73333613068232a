"""Tables of other libraries go into a collection: what is searched, and what metadata keeps of them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import numpy as np
import pytest

from indexing import Collection
from indexing.errors import BadInput
from indexing.writing.tables import documents_of

pandas = pytest.importorskip("pandas")
pyarrow = pytest.importorskip("pyarrow")

DAY, MOMENT = date(2024, 5, 1), datetime(2024, 5, 1, 10)
COLUMNS = {
    "id": [1, 2],
    "title": ["Bread", "Butter"],
    "text": ["Dough rises with yeast.", "Cream is churned."],
    "customer": ["Anna Müller", None],
    "day": [DAY, DAY],
    "at": [MOMENT, None],
    "price": [Decimal("2.50"), Decimal(3)],
    "tags": [["a", "b"], []],
    "more": [{"city": "Berlin", "n": 1}, {"city": "Paris", "n": 2}],
}
EXPECTED = {
    "1": (
        "Dough rises with yeast.\n\ncustomer: Anna Müller\nday: 2024-05-01\nat: 2024-05-01T10:00:00\n"
        "tags: a, b\nmore.city: Berlin",
        {
            "customer": "Anna Müller",
            "day": "2024-05-01",
            "at": "2024-05-01T10:00:00",
            "price": 2.5,
            "tags": ["a", "b"],
            "more": {"city": "Berlin", "n": 1},
        },
    ),
    "2": (
        "Cream is churned.\n\nday: 2024-05-01\nmore.city: Paris",
        {"day": "2024-05-01", "price": 3, "tags": [], "more": {"city": "Paris", "n": 2}},
    ),
}


def data_set(columns: dict):
    return pytest.importorskip("datasets").Dataset.from_dict(columns)


@pytest.mark.parametrize(
    "make",
    [
        pandas.DataFrame,
        lambda columns: pandas.DataFrame(columns).set_index("id"),
        pyarrow.table,
        lambda columns: pyarrow.table(columns).to_batches()[0],
        lambda columns: pyarrow.table(columns).to_reader(),
        data_set,
        lambda columns: data_set(columns).to_iterable_dataset(),
    ],
    ids=["pandas", "pandas index", "table", "batch", "reader", "data set", "stream"],
)
def test_a_table_is_documents(home, make):
    with Collection.create("tables", home=home) as collection:
        report = collection.add(make(COLUMNS))
        assert (report.added, report.skipped, report.notes) == (2, 0, [])
        found = {one.id: (one.text, one.metadata) for one in collection.documents()}
        assert found == EXPECTED
        assert [one.title for one in collection.documents()] == ["Bread", "Butter"]
        assert collection.search("Anna Müller", mode="keyword").results[0].id == "1"


def documents(table, **fields):
    return list(
        documents_of(table, *(fields.get(f"{name}_field") for name in ("text", "title", "id")), print)
    )


def test_columns_are_named():
    frame = pandas.DataFrame({"sku": [7.0, np.nan], "a": ["x", "y"], "b": ["z", None], "head": ["H", "I"]})
    first, second = documents(frame, text_field=["b", "a"], title_field="head", id_field="sku")
    assert (first.id, first.title, first.text) == ("7", "H", "z\n\nx")
    assert first.metadata == {"sku": 7.0, "head": "H"}
    assert (second.id, second.text) == ("", "y")


def test_dicts_are_rows_where_a_field_is_named():
    rows = [{"key": "a", "said": "Hello.", "who": "Anna"}]
    (document,) = documents(iter(rows), text_field="said", id_field="key")
    assert (document.id, document.text, document.metadata) == ("a", "Hello.", {"key": "a", "who": "Anna"})
    given = [{"id": "a", "text": "x"}]
    assert documents_of(given, None, None, None, print) is given


@pytest.mark.parametrize(
    ("table", "fields", "message"),
    [
        (
            pandas.DataFrame({"key": ["a"], "text": ["x"]}),
            {},
            "the table has no column 'id' or '_id': name the one that holds the ids, id_field=…; "
            "the columns are key, text",
        ),
        (
            pyarrow.table({"id": [1], "text": ["x"]}),
            {"text_field": "body"},
            "the table has no field 'body'; the fields are id, text",
        ),
        ([{"id": 1}], {"title_field": "name"}, "the table has no field 'name'; the fields are id"),
        (pandas.Series(["x"]), {}, "a Series of pandas has no columns: give a DataFrame"),
        (
            ["x"],
            {"id_field": "a"},
            "with text_field, title_field or id_field each document is a dict, got str",
        ),
        (
            [],
            {"id_field": 5},
            "text_field, title_field and id_field are names of columns; text_field may be a list",
        ),
    ],
)
def test_what_is_no_table_of_documents(table, fields, message):
    with pytest.raises(BadInput) as caught:
        documents(table, **fields)
    assert str(caught.value) == message


def test_splits_and_single_arrays_are_refused():
    datasets = pytest.importorskip("datasets")
    splits = datasets.DatasetDict({"train": data_set({"id": [1], "text": ["x"]})})
    with pytest.raises(BadInput, match=r"has the splits train: give one of them, dataset\['…'\]"):
        documents(splits)
    with pytest.raises(BadInput, match="a StringArray is no table with columns"):
        documents(pyarrow.array(["x"]))


def test_rows_without_id_or_text_are_told_as_other_documents_are(home):
    table = pyarrow.table({"id": ["a", None, "c"], "text": ["x", "y", ""]})
    with Collection.create("tables", home=home) as collection:
        report = collection.add(table, on_error="skip")
        assert (report.added, [skip.reason for skip in report.skips]) == (
            1,
            [
                "a document needs an 'id', a string that is not blank (or an integer), got ''",
                "document 'c' is empty: it needs a 'text' (or a 'title') that is not blank",
            ],
        )
        with pytest.raises(BadInput, match="document 1: a document needs an 'id'"):
            collection.add(table)


def test_what_is_left_out_is_noted(home):
    table = pyarrow.table({"id": [1], "text": ["x"], "vector": [[0.5] * 64], "raw": [b"\xff\x00"]})
    with Collection.create("tables", home=home) as collection:
        assert collection.add(table).notes == [
            "column 'vector' was left out of the metadata where it holds a vector",
            "column 'raw' was left out of the metadata where it holds bytes",
        ]
        assert collection.get(["1"])["1"].metadata == {}
