"""A filter in SQL selects exactly the documents that a plain reading of the tree selects."""

from __future__ import annotations

import json
from operator import ge, gt, le, lt

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
from indexing.search.filter_sql import matching_keys
from indexing.search.filters import And, Compare, Not, Or, parse_filter, simplify

NAMES = ["kind", "year", 'we"ird', "it's", "$.kind", "größe"]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([-1.5, 0.0, 1.0, 2.5]),
    st.sampled_from(["", "a", "b", "1", "true", "o'clock", "é", "' OR 1=1 --"]),
)
metadata = st.dictionaries(
    st.sampled_from(NAMES), st.one_of(scalars, st.lists(st.sampled_from(["a", "b", "1"]), max_size=3))
)


@st.composite
def comparisons(draw):
    value = draw(scalars)
    ordered = value is not None and not isinstance(value, bool)
    operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="] if ordered else ["=", "!="]))
    return Compare(draw(st.sampled_from(NAMES)), operator, value)


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
    if node.field not in fields:
        return node.value is None
    value = fields[node.field]
    return any(compares(v, node) for v in (value if isinstance(value, list) else [value]))


def compares(value, node) -> bool:
    def kind(x):
        return "number" if isinstance(x, (int, float)) and not isinstance(x, bool) else type(x).__name__

    if kind(value) != kind(node.value):
        return False
    if node.operator == "=":
        return value == node.value
    if isinstance(value, str):
        value, other = value.encode(), node.value.encode()  # SQL compares text by its bytes
    else:
        other = node.value
    return {"<": lt, "<=": le, ">": gt, ">=": ge}[node.operator](value, other)


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    engine = open_database(tmp_path_factory.mktemp("filters") / "c.sqlite", create=True)
    ensure_schema(engine)
    with writing(engine) as connection:
        create_collection(connection, "c")
    yield engine
    engine.dispose()


@settings(max_examples=150, deadline=None)
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


def quoted(value) -> str:
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


@pytest.mark.parametrize("inner", ["a < 1", "a != null", "a not in (1, 'x', null, true)"])
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


@settings(max_examples=150, deadline=None)
@given(fields=metadata, node=trees)
def test_simplifying_changes_no_answer(fields, node):
    simple = simplify(node)
    assert matches(simple, fields) is matches(node, fields)
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
