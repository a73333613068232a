"""What filters compare: dates as spans of time, patterns, nested fields."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest

from indexing.search.filter_dates import instant_of, span_of
from indexing.search.filter_values import Like, flat, flat_json


def moment(*parts):
    return int(datetime(*parts, tzinfo=timezone.utc).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", moment(2024, 1, 1), moment(2025, 1, 1)),
        ("2024-12", moment(2024, 12, 1), moment(2025, 1, 1)),
        ("2024-02-29", moment(2024, 2, 29), moment(2024, 3, 1)),
        ("2024-05-01T10:00", moment(2024, 5, 1, 10), moment(2024, 5, 1, 10, 1)),
        ("2024-05-01 10:00:59z", moment(2024, 5, 1, 10, 0, 59), moment(2024, 5, 1, 10, 1)),
        ("2024-05-01T10:00:00+0530", moment(2024, 5, 1, 4, 30), moment(2024, 5, 1, 4, 30, 1)),
        ("2024-05-01T22:00-05", moment(2024, 5, 2, 3), moment(2024, 5, 2, 3, 1)),
        ("2024-05-01T10:00:00.25Z", moment(2024, 5, 1, 10) + 250_000, moment(2024, 5, 1, 10) + 260_000),
        ("2024-05-01T10:00:00.1234567Z", moment(2024, 5, 1, 10) + 123_456, moment(2024, 5, 1, 10) + 123_457),
        ("1969-12-31T23:59:59", -1_000_000, 0),
        ("0001-01-01", -62_135_596_800_000_000, -62_135_510_400_000_000),
        ("9999-12", moment(9999, 12, 1), moment(9999, 12, 31) + 86_400_000_000),
    ],
)
def test_a_date_is_the_whole_of_it(text, start, end):
    assert span_of(text) == (start, end)
    assert instant_of(text) == (None if len(text) == 4 else start)


@pytest.mark.parametrize(
    "text",
    [
        *["0000", "2024-13", "2024-00-01", "2023-02-29", "2024-05-01T24:00", "2024-05-01T10", "2024-5-1"],
        *["2024-05-01T10:00:60", "2024-05-01T10:00+24:00", "2024-05-01 note", " 2024-05-01", "2024/05/01"],
        *["٢٠٢٤-٠٥-٠١", "2024-05-01T10:00:00.", "20240501", "2024-05-01\n"],
    ],
)  # fmt: skip
def test_what_is_no_date(text):
    assert span_of(text) is None
    assert instant_of(text) is None


@pytest.mark.parametrize(
    ("pattern", "fit", "miss"),
    [
        ("%bee%", ["bee", "a bee!", "BEES".lower()], ["be e", ""]),
        ("MÜN%", ["münchen", "mün"], ["munchen"]),
        ("_", ["a", "é", "\n"], ["", "ab"]),
        ("a%b%c", ["abc", "axbxc", "abcbc"], ["acb", "ab"]),
        ("%ab", ["ab", "abab", "aab"], ["aba"]),
        ("a%a", ["aa", "aba"], ["a"]),
        ("%a_c%", ["xxabcxx", "aacac"], ["ac", "abbc"]),
        ("100\\%", ["100%"], ["100", "1000"]),
        ("a\\_b", ["a_b"], ["axb"]),
        ("c:\\users%", ["c:\\users\\me"], ["c:users"]),
        ("a\\\\%", ["a\\b"], ["ab"]),
        ("", [""], ["a"]),
        ("%", ["", "anything"], []),
        ("％", ["%"], ["x"]),
    ],
)
def test_patterns(pattern, fit, miss):
    like = Like(pattern)
    assert [text for text in fit if not like.matches(text)] == []
    assert [text for text in miss if like.matches(text)] == []


def test_a_pattern_of_many_parts_takes_no_time():
    like = Like("%a" * 2_000 + "b")
    began = time.process_time()
    assert not like.matches("a" * 100_000)
    assert time.process_time() - began < 1


def test_nested_fields_get_names_with_dots():
    nested = {
        "id": 3,
        "by": {"name": "x", "at": {"city": "y"}, "tags": ["a", "b"]},
        "parts": [{"no": 1}, {"no": 2, "ok": True}, "loose", {"in": {"no": 3}}],
        "by.name": "z",
        "none": {},
    }
    assert flat(nested) == {
        "id": 3,
        "by": [],
        "by.name": ["x", "z"],
        "by.at": [],
        "by.at.city": "y",
        "by.tags": ["a", "b"],
        "parts": ["loose"],
        "parts.no": [1, 2],
        "parts.ok": [True],
        "parts.in": [],
        "parts.in.no": 3,
        "none": [],
    }
    assert flat(flat(nested)) == flat(nested)
    assert nested["by"]["tags"] == ["a", "b"]


def test_metadata_without_objects_stays_as_it_is():
    metadata = {"a.b": 1, "c": ["{", None], "d": "{"}
    assert flat(metadata) is metadata
    assert flat_json('{"a": "{"}') == '{"a": "{"}'


def test_what_is_nested_very_deep_is_left_out():
    nested = {"x": 1}
    for _ in range(400):
        nested = {"a": nested}
    assert max(len(name) for name in flat(nested)) == len("a." * 15 + "a")


def test_many_objects_in_a_list_take_time_in_proportion():
    def seconds(count):
        objects = {"rows": [{"x": 1} for _ in range(count)]}
        began = time.process_time()
        assert len(flat(objects)["rows.x"]) == count
        return time.process_time() - began

    short, long = (min(seconds(count) for _ in range(3)) for count in (20_000, 80_000))
    assert long < 10 * short + 0.02
