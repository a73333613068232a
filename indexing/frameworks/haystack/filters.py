"""Filters of Haystack, checked, and narrowed down to what a collection can look up."""

from __future__ import annotations

from typing import Any

from haystack.dataclasses import Document
from haystack.errors import FilterError
from haystack.utils.filters import document_matches_filter

from indexing.frameworks.narrowing import compared, one_of

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
    if operator in _ORDERED:
        return compared(name, operator, value)
    if operator in ("==", "in"):
        return one_of(name, value if operator == "in" else [value])
    return None
