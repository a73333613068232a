"""Filters as a person would write them: names, values, and the form with dicts of other tools.

    {"lang": "de"}                                    lang = 'de'
    {"lang": ["de", "fr"], "tags": {"has": "sea"}}    lang in ('de', 'fr') and tags has 'sea'
    {"year": {">=": 2020, "<": 2024}}                 year >= 2020 and year < 2024
    {"$or": [{"year": 2020}, {"$not": {"title": {"like": "a%"}}}]}

Operators are those of `indexing.search.filters`, or `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`,
`$nin`, `$exists`, `$contains` (has); `$and` and `$or` take lists of such dicts, `$not` takes one. What stands
side by side is joined by `and`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, TypeAlias

import numpy as np

from indexing.errors import BadInput, FilterError
from indexing.search.filters import KEYWORDS

__all__ = ["Given", "filter_text", "spell_field", "spell_value"]

Given: TypeAlias = "str | Mapping[str, Any]"
"""A filter as a caller gives it."""

_NAME = re.compile(r"[^\W\d][\w.-]*")
_MOST_LEVELS = 50

_COMPARISONS = {
    **{sign: sign for sign in ("=", "!=", ">", ">=", "<", "<=", "like", "not like", "has", "not has")},
    **{"==": "=", "<>": "!=", "$eq": "=", "$ne": "!=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="},
    "$contains": "has",
}
_LISTS = {
    **{sign: sign for sign in ("in", "not in", "has any", "has all")},
    **{"$in": "in", "$nin": "not in"},
}
_OPERATORS = ", ".join(repr(name) for name in [*_COMPARISONS, *_LISTS, "between", "not between", "$exists"])


def filter_text(filter: object) -> str:
    """A filter as a text, which `parse_filter` reads; "" for one that allows everything.

    Raises:
        BadInput: it is neither a text nor a dict.
        FilterError: the dict says something that there is not.
    """
    if isinstance(filter, str):
        return filter
    if not isinstance(filter, Mapping):
        raise BadInput(
            f'filter of type {type(filter).__name__}: give a text such as "year >= 2020", or a dict such as'
            ' {"year": {">=": 2020}}'
        )
    return _all_of(filter, 0) if filter else ""


def spell_field(name: str) -> str:
    """A field's name as a filter takes it: in quotes, unless it is a word, and none of the language."""
    if _NAME.fullmatch(name) and name.lower() not in KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def spell_value(value: Any) -> str:
    """A value as a filter takes it.

    Raises:
        FilterError: no metadata compares with it.
    """
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if value is None or isinstance(value, bool):
        return {None: "null", False: "false", True: "true"}[value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds" if value.microsecond else "seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float) and value == value and abs(value) != float("inf"):
        return repr(value)
    if isinstance(value, np.generic):
        return spell_value(value.item())
    raise FilterError(
        f"filter: {_short(value)} of type {type(value).__name__} compares with nothing; give a text, a"
        " number, a date, True, False or None"
    )


def _all_of(filter: Mapping[str, Any], level: int) -> str:
    if level > _MOST_LEVELS:
        raise FilterError(f"filter: at most {_MOST_LEVELS} nested conditions")
    parts = [part for name, value in filter.items() for part in _parts(name, value, level)]
    return " and ".join(parts)


def _parts(name: object, value: Any, level: int) -> list[str]:
    if not isinstance(name, str):
        raise FilterError(f"filter: {name!r} is no name of a field; names are texts")
    if name in ("$and", "$or"):
        return [_joined(name, value, level)]
    if name == "$not":
        return [f"not ({_inner(name, value, level)})"]
    if name.startswith("$"):
        raise FilterError(
            f"filter: {name!r} joins no conditions; use '$and', '$or' or '$not'; operators stand in a field:"
            ' {"year": {"$gte": 2020}}'
        )
    field = spell_field(name)
    if isinstance(value, Mapping):
        if not value:
            raise FilterError(f"filter: {name!r} has no condition; give a value, or an operator and a value")
        return [_comparison(field, name, operator, wanted) for operator, wanted in value.items()]
    if isinstance(value, list | tuple | set | frozenset):
        return [f"{field} in {_values(name, value)}"]
    return [f"{field} = {spell_value(value)}"]


def _joined(name: str, value: Any, level: int) -> str:
    if not isinstance(value, list | tuple) or not value:
        raise FilterError(f"filter: {name!r} takes a list of conditions, got {_short(value)}")
    return "(" + f" {name[1:]} ".join(f"({_inner(name, one, level)})" for one in value) + ")"


def _inner(name: str, value: Any, level: int) -> str:
    if not isinstance(value, Mapping) or not value:
        raise FilterError(f'filter: {name!r} takes conditions such as {{"year": 2020}}, got {_short(value)}')
    return _all_of(value, level + 1)


def _comparison(field: str, name: str, operator: object, value: Any) -> str:
    if operator in _COMPARISONS:
        return f"{field} {_COMPARISONS[str(operator)]} {spell_value(value)}"
    if operator in _LISTS:
        return f"{field} {_LISTS[str(operator)]} {_values(name, value)}"
    if operator in ("between", "not between"):
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise FilterError(f"filter: between of {name!r} takes two values, got {_short(value)}")
        return f"{field} {operator} {spell_value(value[0])} and {spell_value(value[1])}"
    if operator == "$exists" and isinstance(value, bool):
        return f"{field} is {'not null' if value else 'null'}"
    if operator == "$exists":
        raise FilterError(f"filter: '$exists' of {name!r} takes True or False, got {_short(value)}")
    raise FilterError(
        f"filter: {operator!r} of {name!r} is no operator; use one of {_OPERATORS}. A field of a nested"
        f" object is written {f'{name}.{operator}'!r}"
    )


def _values(name: str, value: Any) -> str:
    if not isinstance(value, list | tuple | set | frozenset) or not value:
        raise FilterError(f"filter: {name!r} is asked for one of {_short(value)}; give a list of values")
    values = [spell_value(one) for one in value]
    return f"({', '.join(sorted(values) if isinstance(value, set | frozenset) else values)})"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
