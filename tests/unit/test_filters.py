"""The filter language: trees, and the errors with their positions."""

from __future__ import annotations

import pytest

from indexing.errors import FilterError
from indexing.search.filters import And, Compare, Date, Not, Or, comparisons_of, nesting, parse_filter

A, B, C = (Compare(name, "=", 1) for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("module = 'itertools'", Compare("module", "=", "itertools")),
        ("module == 'it''s'", Compare("module", "=", "it's")),
        ("a.b-c <> 1", Compare("a.b-c", "!=", 1)),
        ('"two words" >= -1.5e2', Compare("two words", ">=", -150.0)),
        ('"say ""hi""" = true', Compare('say "hi"', "=", True)),
        ("x = NULL", Compare("x", "=", None)),
        ("x in (1, 'a')", Or((Compare("x", "=", 1), Compare("x", "=", "a")))),
        ("x not in (1)", Not(Compare("x", "=", 1))),
        (
            "a = 1 or b = 2 and not c = 3",
            Or((Compare("a", "=", 1), And((Compare("b", "=", 2), Not(Compare("c", "=", 3)))))),
        ),
        (
            "(a = 1 OR b = 2) AND c = 3",
            And((Or((Compare("a", "=", 1), Compare("b", "=", 2))), Compare("c", "=", 3))),
        ),
        ("größe > 99999999999999999999", Compare("größe", ">", 1e20)),
        ('kind = "two words"', Compare("kind", "=", "two words")),
        ('"kind" = "say ""hi"""', Compare("kind", "=", 'say "hi"')),
        ("x is null", Compare("x", "=", None)),
        ("x IS NOT NULL", Compare("x", "!=", None)),
        ("x like '50\\%%'", Compare("x", "like", "50\\%%")),
        ("x not like '%a'", Not(Compare("x", "like", "%a"))),
        ("x between 1 and 2.5 and y = 1", And((Compare("x", "between", (1, 2.5)), Compare("y", "=", 1)))),
        ("x not between 'a' and 'b'", Not(Compare("x", "between", ("a", "b")))),
        ("x has 'a'", Compare("x", "=", "a")),
        ("x not has 'a'", Not(Compare("x", "=", "a"))),
        ("x has any ('a', 1)", Or((Compare("x", "=", "a"), Compare("x", "=", 1)))),
        ("x has all ('a', 1)", And((Compare("x", "=", "a"), Compare("x", "=", 1)))),
        ("author.name = 'x'", Compare("author.name", "=", "x")),
        ("x >= 2024-05-01", Compare("x", ">=", Date("2024-05-01"))),
        ("x = 2024-05", Compare("x", "=", Date("2024-05"))),
        ("x < 2024-05-01t10:00:00.5+02:00", Compare("x", "<", Date("2024-05-01t10:00:00.5+02:00"))),
        ("x in (2024-05-01,'2024')", Or((Compare("x", "=", Date("2024-05-01")), Compare("x", "=", "2024")))),
        ("like like 'x' or has = 1", Or((Compare("like", "like", "x"), Compare("has", "=", 1)))),
        ("between between 1 and 2", Compare("between", "between", (1, 2))),
        ("is is null", Compare("is", "=", None)),
    ],
)
def test_tree(text, tree):
    assert parse_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("not not a = 1", A),
        ("not " * 49 + "a = 1", Not(A)),
        ("not (a = 1 or not b = 1)", And((Not(A), B))),
        ("not (a = 1 and (b = 1 or c = 1))", Or((Not(A), And((Not(B), Not(C)))))),
        ("a = 1 or (b = 1 or (c = 1))", Or((A, B, C))),
        ("a = 1 and not (not b = 1 or not c = 1)", And((A, B, C))),
        ("not a in (1, 2)", And((Not(A), Not(Compare("a", "=", 2))))),
        ("not a != 1", Not(Compare("a", "!=", 1))),
    ],
)
def test_not_stands_before_comparisons_and_nothing_is_nested_in_vain(text, tree):
    assert parse_filter(text) == tree


def test_comparisons_are_told_in_order():
    node = parse_filter("b = 1 and not (a = 1 or b = 1)")
    assert comparisons_of(node) == [B, A, B]


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ("a = 1", 0),
        ("a = 1 and b = 1", 2),
        ("a = 1 and (b = 1 or c = 1)", 3),  # the parenthesis first: ( b or; then: (…) and a
        ("a = 1 or b = 1 and c = 1", 2),
    ],
)
def test_nesting(text, depth):
    assert nesting(parse_filter(text)) == depth


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_empty_filter_is_none(text):
    assert parse_filter(text) is None


OPERATORS = "an operator: =, !=, <, <=, >, >=, in, like, between, has, is null"
VALUE = "a value: 'text', a number, a date, true, false or null"


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("module", 6, f"the filter ends here; expected {OPERATORS}"),
        ("= 3", 0, "found '='; expected a field name"),
        ("'lang' = 3", 0, "found \"'lang'\"; expected a field name; in double quotes it is one: \"name\""),
        ("a = ", 4, f"the filter ends here; expected {VALUE}"),
        ("a = b", 4, f"found 'b'; expected {VALUE}; a text stands in quotes: 'b'"),
        ("a = 'x", 4, "this text has no closing quote ' (write '' for a quote inside a text)"),
        ("a = “x”", 4, "unexpected '“'; this is a curly quote; texts stand in straight ones, 'so'"),
        ("a = 1 b = 2", 6, "found 'b'; expected 'and', 'or' or the end of the filter"),
        ("a = 1 && b = 2", 6, "unexpected '&'; write 'and' between two conditions"),
        ("a: 1", 1, "unexpected ':'; write = between field and value"),
        ("(a = 1", 6, "the filter ends here; expected ')'"),
        ("a in 1", 5, "found '1'; expected '('"),
        ("a in ['x']", 5, "unexpected '['; a list of values stands in parentheses: in ('a', 'b')"),
        ("a < true", 4, "found 'true'; expected a text, a number or a date after <"),
        ("a contains 'x'", 2, f"found 'contains'; expected {OPERATORS}; write has 'x' for an element of"
         " a list, like '%x%' for a part of a text"),
        ("a not 3", 6, "found '3'; expected in, like, between or has after 'not'"),
        ("a is 3", 5, "found '3'; expected null; other values are compared with = and !="),
        ("a like 3", 7, "found '3'; expected a text after like; % in it is any number of characters, _ one"),
        ("a between 1 or 2", 12, "found 'or'; expected 'and' and the second value of between"),
        ("a between 1 and 'x'", 16, "found \"'x'\"; expected a value that compares with 1"),
        ("a between 3 and 2", 16, "found '2'; expected a value not below 3; the smaller one comes first"),
        ("a between 2024-05 and 2024-04-30", 22, "found '2024-04-30'; expected a value not below 2024-05; the"
         " smaller one comes first"),
        ("a = 2024-02-30", 4, f"found '2024-02-30'; expected {VALUE}; there is no such day or time"),
        ("a = 1.5.2", 4, f"found '1.5.2'; expected {VALUE}; a date is written 2024-05-31 or"
         " 2024-05-31T10:00:00Z, anything else in quotes"),
        ("a = 1 ; drop", 6, "unexpected ';'; expected a field, a value, an operator or a parenthesis"),
    ],
)  # fmt: skip
def test_error_names_position_and_what_was_expected(text, position, message):
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    where = f"filter, position {position + 1}: "
    assert (caught.value.position, str(caught.value)) == (position, where + message)


@pytest.mark.parametrize("text", ["not " * 60 + "a = 1", "(" * 60 + "a = 1" + ")" * 60])
def test_deep_nesting_is_refused_before_it_hurts(text):
    with pytest.raises(FilterError, match="at most 50 nested conditions"):
        parse_filter(text)


def test_what_a_database_cannot_hold_is_refused_before_it_is_asked():
    """Few parentheses, but two parts of equal depth in each."""

    def pairs(depth, word, other):
        if not depth:
            return "a = 1"
        return f"({f' {word} '.join([pairs(depth - 1, other, word)] * 2)})"

    text = pairs(8, "or", "and")
    for _ in range(18):
        text = f"(a = 1 or b = 1 and {text})"
    assert nesting(parse_filter(text)) <= 50
    for _ in range(16):
        text = f"(a = 1 or b = 1 and {text})"
    with pytest.raises(FilterError, match="at most 50 nested conditions"):
        parse_filter(text)


def test_more_comparisons_than_the_database_takes_are_refused():
    assert parse_filter(f"a in ({','.join('1' * 500)})") is not None
    with pytest.raises(FilterError, match="position 1007: found '1'; expected at most 500 comparisons"):
        parse_filter(f"a in ({','.join('1' * 501)})")


def test_long_filter_is_refused():
    with pytest.raises(FilterError, match="filter of 10001 characters: at most 10000"):
        parse_filter("a" * 10_001)
