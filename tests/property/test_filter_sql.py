"""A filter in SQL selects exactly the documents that a plain reading of the tree selects."""

from __future__ import annotations

import json
import re
import unicodedata
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from operator import eq, ge, gt, le, lt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from indexing.catalog.collections import create_collection
from indexing.catalog.database import open_database, reading, writing
from indexing.catalog.migrate import ensure_schema
from indexing.catalog.schema import DocumentRow
from indexing.errors import FilterError
from indexing.search import filter_rows, filter_sql
from indexing.search.filter_sql import matching_keys
from indexing.search.filters import And, Compare, Date, Not, Or, parse_filter, simplify

NAMES = ["kind", "year", 'we"ird', "it's", "$.kind", "größe", "by.name", "by.at.x"]
DATES = [
    "2024-05", "2024-05-01", "2024-05-01T10:00:00Z", "2024-05-01 10:00", "2024-05-02T01:30+02:00",
    "2024-04-30T23:59:59.999999Z", "2024-04-31", "2023-12-31T23:00-05:00", "1969-12-31",
]  # fmt: skip
TEXTS = ["", "a", "b", "1", "true", "o'clock", "é", "E\u0301", "É", "' OR 1=1 --", "a_b", "A%B", "Straße"]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([-1.5, 0.0, 1.0, 2.5]),
    st.sampled_from(TEXTS),
    st.sampled_from(DATES),
)
members = st.one_of(scalars, st.lists(scalars, max_size=3))
nested = st.dictionaries(st.sampled_from(["name", "at", "at.x", "x"]), members, max_size=2)
values = st.one_of(members, nested, st.lists(st.one_of(scalars, nested), max_size=3))
metadata = st.dictionaries(
    st.sampled_from([*NAMES, "by", "by.at"]),
    st.one_of(members, st.dictionaries(st.sampled_from(["name", "at"]), values)),
)
dates = st.sampled_from([date for date in DATES if " " not in date and date != "2024-04-31"]).map(Date)
patterns = st.sampled_from(
    ["%", "a%", "_", "%E%", "a\\_b", "STRASSE", "%-05-%", "2024%z", "%'%-_", "a__", ""]
)


@st.composite
def comparisons(draw):
    name, kind = draw(st.sampled_from(NAMES)), draw(st.integers(0, 9))
    if kind == 0:
        return Compare(name, "like", draw(patterns))
    if kind == 1:
        ends = st.one_of(st.sampled_from(TEXTS), st.sampled_from(DATES), dates, st.just("2024"))
        both = draw(st.one_of(st.tuples(st.integers(-3, 3), st.floats(-3, 3)), st.tuples(ends, ends)))
        return Compare(name, "between", both)
    value = draw(st.one_of(scalars, dates, st.just("2024")))
    ordered = value is not None and not isinstance(value, bool)
    operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="] if ordered else ["=", "!="]))
    return Compare(name, operator, value)


trees = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda n: And(tuple(n))),
        st.lists(inner, min_size=2, max_size=3).map(lambda n: Or(tuple(n))),
    ),
    max_leaves=6,
)


def matches(node, fields) -> bool:
    """What the language's description says, word by word."""
    if isinstance(node, And):
        return all(matches(n, fields) for n in node.nodes)
    if isinstance(node, Or):
        return any(matches(n, fields) for n in node.nodes)
    if isinstance(node, Not):
        return not matches(node.node, fields)
    if node.operator == "!=":
        return not matches(Compare(node.field, "=", node.value), fields)
    found = list(named(fields, node.field))
    if not found:
        return node.value is None
    elements = [one for value in found for one in (value if isinstance(value, list) else [value])]
    if node.operator == "between":
        low, high = (Compare(node.field, *end) for end in zip([">=", "<="], node.value, strict=True))
        return any(compares(v, low) and compares(v, high) for v in elements)
    return any(compares(v, node) for v in elements)


def named(value, name):
    """The values at a path whose names joined by dots are `name`."""
    for key, inner in value.items():
        if key == name:
            yield [one for one in inner if not isinstance(one, dict)] if isinstance(inner, list) else inner
        if name.startswith(key + "."):
            for one in inner if isinstance(inner, list) else [inner]:
                if isinstance(one, dict):
                    yield from named(one, name[len(key) + 1 :])


def form(text) -> str:
    """Enough for the texts of this test."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def time_of(text, year=False):
    """(first moment, first moment after it) of a date."""
    text = text.upper().replace("T", " ")
    for pattern, length in [("%Y-%m", 31), ("%Y-%m-%d", 1), ("%Y", 366)][: 3 if year else 2]:
        with suppress(ValueError):
            start = datetime.strptime(text, pattern).replace(tzinfo=timezone.utc)
            if pattern == "%Y-%m-%d":
                return start, start + timedelta(days=1)
            late = start + timedelta(days=length)
            return start, late.replace(day=1) if pattern == "%Y-%m" else late.replace(month=1, day=1)
    match = re.fullmatch(r"(.{10} \d\d:\d\d)(:\d\d)?(\.\d{6})?(Z|[+-]\d\d:\d\d)?", text)
    if match is None:
        return None
    length = timedelta(microseconds=1) if match[3] else timedelta(seconds=1 if match[2] else 60)
    zone = (match[4] or "Z").replace("Z", "+00:00")
    start = datetime.fromisoformat(match[1] + (match[2] or "") + (match[3] or "") + zone)
    return start, start + length


def kind(x):
    number = isinstance(x, (int, float)) and not isinstance(x, bool)
    return "number" if number else "str" if isinstance(x, Date) else type(x).__name__


def compares(value, node) -> bool:
    if kind(value) != kind(node.value):
        return False
    if not isinstance(value, str):
        operators = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
        return bool(operators[node.operator](value, node.value))
    if node.operator == "like":
        parts = re.split(r"(\\_|%|_)", form(node.value))
        signs = {"%": ".*", "_": ".", "\\_": "_"}
        return bool(
            re.fullmatch("".join(signs.get(p) or re.escape(p) for p in parts), form(value), re.DOTALL)
        )
    return compares_text(value, node.operator, node.value)


def compares_text(value, operator, wanted) -> bool:
    when, span = time_of(value), time_of(getattr(wanted, "text", wanted), year=True)
    if when and span:
        before, after = when[0] < span[0], when[0] >= span[1]
        return {"=": not before and not after, "<": before, "<=": not after, ">": after, ">=": not before}[
            operator
        ]
    if isinstance(wanted, Date):
        return False
    one, other = form(value).encode(), form(wanted).encode()  # SQL compares text by its bytes
    return {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}[operator](one, other)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    engine = open_database(tmp_path_factory.mktemp("filters") / "c.sqlite", create=True)
    ensure_schema(engine)
    with writing(engine) as connection:
        create_collection(connection, "c")
    yield engine
    engine.dispose()


@settings(max_examples=200, deadline=None)
@given(rows=st.lists(metadata, min_size=1, max_size=8), node=trees)
def test_sql_selects_what_the_tree_means(database, rows, node):
    with writing(database) as connection:
        connection.execute(DocumentRow.__table__.delete())
        connection.execute(
            insert(DocumentRow.__table__), [document(i, fields) for i, fields in enumerate(rows, 1)]
        )
        connection.execute(insert(DocumentRow.__table__), document(99, {"kind": "a"}, deleted=True))
    with reading(database) as connection:
        found = matching_keys(connection, 1, node)
    expected = [i for i, fields in enumerate(rows, 1) if matches(node, fields)]
    np.testing.assert_array_equal(found, np.asarray(expected, dtype=np.int64))


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(metadata, min_size=1, max_size=8), node=trees)
def test_reading_rows_says_the_same(database, rows, node):
    """What a database without functions of ours does instead."""
    with writing(database) as connection:
        connection.execute(DocumentRow.__table__.delete())
        connection.execute(
            insert(DocumentRow.__table__), [document(i, fields) for i, fields in enumerate(rows, 1)]
        )
        connection.execute(insert(DocumentRow.__table__), document(99, {"kind": "a"}, deleted=True))
    with reading(database) as connection:
        for among in (None, [1, 3, 99]):
            np.testing.assert_array_equal(
                filter_rows.matching_keys(connection, 1, node, among),
                matching_keys(connection, 1, node, among),
            )
        fields = filter_sql.known_fields(connection, 1)
        assert filter_rows.known_fields(connection, 1, filter_sql.MAX_FIELDS) == fields
        for field in [*fields, "missing"]:
            held = filter_sql.value_kinds(connection, 1, field)
            assert filter_rows.value_kinds(connection, 1, field) == held
            for kinds in ([], ["text"], ["number", "date"], ["truth"]):
                assert filter_rows.has_kind(connection, 1, field, kinds) == filter_sql.has_kind(
                    connection, 1, field, kinds
                )


def quoted(value) -> str:
    if isinstance(value, tuple):
        return f"{quoted(value[0])} and {quoted(value[1])}"
    if isinstance(value, Date):
        return value.text
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)


def spelled(node, deep: int = 0) -> str:
    """A tree as a person would write it, with needless parentheses."""
    if isinstance(node, Compare):
        name = '"' + node.field.replace('"', '""') + '"'
        return "(" * deep + f"{name} {node.operator} {quoted(node.value)}" + ")" * deep
    if isinstance(node, Not):
        return f"not ({spelled(node.node, deep)})"
    word = " and " if isinstance(node, And) else " or "
    return "(" + word.join(spelled(child, deep) for child in node.nodes) + ")"


@st.composite
def towers(draw):
    """Deep filters: a step puts the filter so far into an `and` or an `or`, or negates it."""
    text = spelled(draw(trees), draw(st.integers(0, 2)))
    first, second = spelled(draw(comparisons())), spelled(draw(comparisons()))
    for step in draw(st.lists(st.integers(0, 6), max_size=48)):
        text = [
            f"not {text}",
            f"({text})",
            f"({first} and {text})",
            f"({text} or {second})",
            f"({first} or {second} and {text})",
            f"not ({first} or {text})",
            f"({text} or {second} and {text})" if len(text) < 1_000 else text,
        ][step]
    return text


@settings(max_examples=80, deadline=None)
@given(fields=metadata, text=towers())
def test_what_the_parser_takes_the_database_answers(database, fields, text):
    try:
        node = parse_filter(text)
    except FilterError:
        return
    with writing(database) as connection:
        connection.execute(DocumentRow.__table__.delete())
        connection.execute(insert(DocumentRow.__table__), document(1, fields))
    with reading(database) as connection:
        assert matching_keys(connection, 1, node).tolist() == [1] * matches(node, fields)


@pytest.mark.parametrize(
    "inner",
    [
        "a < 1",
        "a != null",
        "a not in (1, 'x', null, true)",
        "a.b not in (1, '2024-05', 'x', null, 2024-05-01)",
        "a.b not between '2024' and '2025-05-01'",
        "a.b like '%x%'",
    ],
)
@pytest.mark.parametrize(
    "step",
    ["not {}", "({})", "not ({})", "(a = 1 or {})", "(a = 1 or b = 1 and {})", "({} or b = 1) and a = 1"],
)
def test_the_deepest_filters_are_answered(database, inner, step):
    deepest = None
    while True:
        inner = step.format(inner)
        try:
            deepest = parse_filter(inner)
        except FilterError:
            break
    with reading(database) as connection:
        assert set(matching_keys(connection, 1, deepest).tolist()) <= {1}


@settings(max_examples=200, deadline=None)
@given(fields=metadata, node=trees)
def test_simplifying_changes_no_answer(fields, node):
    simple = simplify(node)
    assert matches(simple, fields) is matches(node, fields)
    with suppress(FilterError):  # between two values the wrong way round
        assert parse_filter(spelled(node)) == simple


def document(key, fields, deleted=False):
    return {
        "key": key,
        "collection_id": 1,
        "id": str(key),
        "seq": key,
        "hash": b"",
        "deleted": deleted,
        "title": "",
        "text": "",
        "metadata": json.dumps(fields),
    }
