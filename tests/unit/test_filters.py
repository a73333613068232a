"""The filter language: trees, and the errors with their positions."""

from __future__ import annotations

import pytest

from indexing.errors import FilterError
from indexing.search.filters import And, Compare, Not, Or, comparisons_of, nesting, parse_filter

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


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        (
            "module",
            6,
            "position 7: the filter ends here; expected an operator: =, !=, <, <=, >, >=, in, not in",
        ),
        ("= 3", 0, "position 1: found '='; expected a field name"),
        (
            "a = ",
            4,
            "position 5: the filter ends here; expected a value: 'text', a number, true, false or null",
        ),
        ("a = b", 4, "position 5: found 'b'; expected a value: 'text', a number, true, false or null"),
        ("a = 'x", 4, "position 5: this text has no closing quote ' (write '' for a quote inside a text)"),
        ("a = 1 b = 2", 6, "position 7: found 'b'; expected 'and', 'or' or the end of the filter"),
        ("(a = 1", 6, "position 7: the filter ends here; expected ')'"),
        ("a in 1", 5, "position 6: found '1'; expected '('"),
        ("a < true", 4, "position 5: found 'true'; expected a text or a number after <"),
        (
            "a = 1 ; drop",
            6,
            "position 7: unexpected ';'; expected a field, a value, an operator or a parenthesis",
        ),
    ],
)
def test_error_names_position_and_what_was_expected(text, position, message):
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert (caught.value.position, str(caught.value)) == (position, f"filter, {message}")


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
