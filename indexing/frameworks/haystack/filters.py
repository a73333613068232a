"""Filters of Haystack, narrowed down to what a collection can look up.

A collection compares texts without regard to case and ways of writing, and its `not` is the complement of
that: so it is asked for no less than what matches, and Haystack's own function judges what comes back.
"""

from __future__ import annotations

from typing import Any

from haystack.dataclasses import Document
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter

__all__ = ["check_filters", "narrowed"]

_ORDERED = (">", ">=", "<", "<=")
_NO_METADATA = ("id", "content", "blob", "score", "embedding", "sparse_embedding")
_NOTHING = Document(id="0", content="")


def check_filters(filters: dict[str, Any] | None) -> None:
    """
    Raises:
        FilterError: what can be said without a document: a key that is missing, a value of the wrong type.
    """
    if not filters:
        return
    if "operator" not in filters and "conditions" not in filters and "field" not in filters:
        raise FilterError("a filter has 'field', 'operator' and 'value', or 'operator' and 'conditions'")
    document_matches_filter(filters, _NOTHING)
    _check_values(filters)


def _check_values(filters: dict[str, Any]) -> None:
    if "field" not in filters:
        for one in filters.get("conditions", []):
            _check_values(one)
        return
    operator, value = filters["operator"], filters["value"]
    if operator in ("in", "not in") and not isinstance(value, list):
        raise FilterError(f"{operator!r} takes a list, got {type(value).__name__}")
    if operator in _ORDERED and isinstance(value, list):
        raise FilterError(f"{operator!r} takes a number or a date, got a list")


def narrowed(filters: dict[str, Any] | None) -> dict[str, Any] | None:
    """A filter of collections that lets all pass that matches; None where that is everything."""
    if not filters:
        return None
    if "field" in filters:
        return _narrowed_comparison(filters)
    parts = [narrowed(one) for one in filters["conditions"]]
    if filters["operator"] == "AND":
        known = [one for one in parts if one]
        return {"$and": known} if known else None
    if filters["operator"] == "OR" and parts and all(parts):
        return {"$or": parts}
    return None


def _narrowed_comparison(condition: dict[str, Any]) -> dict[str, Any] | None:
    field, operator, value = condition["field"], condition["operator"], condition["value"]
    if field in _NO_METADATA:
        return None
    name = field.removeprefix("meta.")
    if operator == "==" and _is_exact(value):
        return {name: {"$in": _equals(value)}}
    if operator == "in" and value and all(map(_is_exact, value)):
        return {name: {"$in": [same for one in value for same in _equals(one)]}}
    if operator in _ORDERED and isinstance(value, (int, float)) and not isinstance(value, bool):
        return {name: {operator: value}}
    return None


def _is_exact(value: Any) -> bool:
    """Whether a document that has this value, and none besides, is found by it. Dates are equal where their
    moments are, to Haystack and to collections in ways of their own.
    """
    return isinstance(value, (int, float)) or (isinstance(value, str) and not value[:4].isdigit())


def _equals(value: Any) -> list[Any]:
    """In Python 1 equals True."""
    return [int(value), bool(value)] if not isinstance(value, str) and value in (0, 1) else [value]
