"""Conditions of frameworks as filters of collections that let no less pass.

A collection compares texts without regard to case and ways of writing; frameworks compare them as they are.
So a collection narrows down what is looked at, and the framework's own function judges it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["compared", "one_of"]


def one_of(name: str, values: Sequence[Any]) -> dict[str, Any] | None:
    """For metadata that equal one of `values`; None where a collection could miss some."""
    if not values or not all(map(_is_found, values)):
        return None
    return {name: {"$in": [same for value in values for same in _equals(value)]}}


def compared(name: str, operator: str, value: Any) -> dict[str, Any] | None:
    """For metadata less or more than a number; texts, which may be dates to a framework, are not narrowed
    down.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return {name: {operator: value}}


def _is_found(value: Any) -> bool:
    """Whether documents that have this value are found by it: one date may be written in several ways."""
    return isinstance(value, (int, float)) or (isinstance(value, str) and not value[:4].isdigit())


def _equals(value: Any) -> list[Any]:
    """In Python 1 equals True."""
    return [int(value), bool(value)] if not isinstance(value, str) and value in (0, 1) else [value]
