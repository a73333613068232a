"""Filters as dicts: what they are as text, and what is said of wrong ones."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import numpy as np
import pytest

from indexing.errors import BadInput, FilterError
from indexing.search.filter_spelling import filter_text
from indexing.search.filters import parse_filter
from indexing.search.settings import check_ranking


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("lang = 'de'", "lang = 'de'"),
        ({}, ""),
        ({"lang": "de"}, "lang = 'de'"),
        ({"lang": "it's", "year": 2020}, "lang = 'it''s' and year = 2020"),
        ({"lang": ["de", None]}, "lang in ('de', null)"),
        ({"ok": True, "x": 1.5, "n": np.int64(3)}, "ok = true and x = 1.5 and n = 3"),
        ({"year": {">=": 2020, "$lt": 2024}}, "year >= 2020 and year < 2024"),
        ({"two words": {"$ne": 1}, "in": {"!=": 2}}, '"two words" != 1 and "in" != 2'),
        ({"by.name": {"like": "a%"}}, "by.name like 'a%'"),
        ({"tags": {"has all": ["a", "b"]}}, "tags has all ('a', 'b')"),
        ({"tags": {"$contains": "a"}, "t": {"$nin": {2, 1}}}, "tags has 'a' and t not in (1, 2)"),
        ({"year": {"between": (1, 2)}}, "year between 1 and 2"),
        ({"year": {"$exists": False}, "b": {"$exists": True}}, "year is null and b is not null"),
        ({"day": {">=": date(2024, 5, 1)}}, "day >= 2024-05-01"),
        ({"at": datetime(2024, 5, 1, 10)}, "at = 2024-05-01T10:00:00"),
        (
            {"at": {"<": datetime(2024, 5, 1, 10, 0, 0, 250, timezone(timedelta(hours=-5)))}},
            "at < 2024-05-01T10:00:00.000250-05:00",
        ),
        ({"$or": [{"a": 1, "b": 2}, {"c": 3}]}, "((a = 1 and b = 2) or (c = 3))"),
        ({"$and": [{"a": 1}, {"$not": {"b": 2}}], "c": 3}, "((a = 1) and (not (b = 2))) and c = 3"),
    ],
)
def test_a_dict_is_a_filter(given, text):
    assert filter_text(given) == text
    parse_filter(text)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({3: 1}, "filter: 3 is no name of a field; names are texts"),
        ({"year": {"=>": 3}}, "filter: '=>' of 'year' is no operator; use one of '=', '!=', '>', '>=', "),
        ({"by": {"name": "x"}}, "A field of a nested object is written 'by.name'"),
        ({"$nor": [{"a": 1}]}, "filter: '$nor' joins no conditions; use '$and', '$or' or '$not'"),
        ({"$and": {"a": 1}}, "filter: '$and' takes a list of conditions, got {'a': 1}"),
        ({"$or": []}, "filter: '$or' takes a list of conditions, got []"),
        ({"$not": 3}, "filter: '$not' takes conditions such as {\"year\": 2020}, got 3"),
        ({"a": {}}, "filter: 'a' has no condition; give a value, or an operator and a value"),
        ({"a": []}, "filter: 'a' is asked for one of []; give a list of values"),
        ({"a": {"in": "x"}}, "filter: 'a' is asked for one of 'x'; give a list of values"),
        ({"a": {"between": [1]}}, "filter: between of 'a' takes two values, got [1]"),
        ({"a": {"$exists": 1}}, "filter: '$exists' of 'a' takes True or False, got 1"),
        (
            {"a": float("nan")},
            "filter: nan of type float compares with nothing; give a text, a number, a date",
        ),
        ({"a": {"=": b"x"}}, "filter: b'x' of type bytes compares with nothing"),
    ],
)
def test_a_wrong_dict_says_what_is_right(given, message):
    with pytest.raises(FilterError) as caught:
        filter_text(given)
    assert message in str(caught.value)


def test_dicts_that_hold_themselves_end():
    given: dict = {"$and": []}
    given["$and"].append(given)
    with pytest.raises(FilterError, match="at most 50 nested conditions"):
        filter_text(given)


def test_dicts_are_taken_wherever_filters_are(animals, ids):
    assert set(ids(animals.search("animal", filter={"legs": {">": 3}, "tame": {"$ne": True}}))) == {"bee"}
    assert animals.count({"legs": [4, 6]}) == 3
    assert [document.id for document in animals.documents({"tags": {"has": "sea"}})] == ["whale"]
    assert set(ids(animals.search("animal", filter={}))) == {"bee", "cat", "dog", "whale"}
    with pytest.raises(BadInput, match="the filter is empty"):
        animals.delete(filter={})
    with pytest.raises(BadInput, match="filter of type list: give a text such as"):
        animals.count(["legs"])
    assert animals.delete(filter={"legs": 6}) == ["bee"]
    boosts = [{"filter": {"legs": 0}, "weight": 2}]
    assert check_ranking({"boosts": boosts})["boosts"] == [{"filter": "legs = 0", "weight": 2.0}]
