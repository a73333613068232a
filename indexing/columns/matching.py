"""Whether one document's metadata fulfils a filter, read plainly: for documents that no column holds yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import eq, ge, gt, le, lt
from typing import Any

from indexing.normal_forms import normal_form
from indexing.search.filter_dates import instant_of
from indexing.search.filter_tree import And, Compare, Node, Not, Or
from indexing.search.filter_values import Date, Text, Value, flat, like, read_text

__all__ = ["matches"]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
_LEAST, _MOST = -(2**63), 2**63 - 1


def matches(node: Node, metadata: Mapping[str, Any]) -> bool:
    """What the language of filters says, see `indexing.search.filters`."""
    return _matches(node, flat(metadata))


def _matches(node: Node, fields: Mapping[str, Any]) -> bool:
    if isinstance(node, And):
        return all(_matches(child, fields) for child in node.nodes)
    if isinstance(node, Or):
        return any(_matches(child, fields) for child in node.nodes)
    if isinstance(node, Not):
        return not _matches(node.node, fields)
    if node.operator == "!=":
        return not _matches(Compare(node.field, "=", node.value), fields)
    if node.field not in fields:
        return node.value is None
    value = fields[node.field]
    return any(_fulfils(one, node) for one in (value if isinstance(value, list) else [value]))


def _fulfils(value: Any, node: Compare) -> bool:
    if node.operator == "like":
        return isinstance(value, str) and like(str(node.value)).matches(normal_form(value))
    if node.operator == "between":
        low, high = node.values
        return _compares(value, ">=", low) and _compares(value, "<=", high)
    return _compares(value, node.operator, node.values[0])


def _compares(value: Any, operator: str, wanted: Value) -> bool:
    if value is None or wanted is None or isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(wanted, str | Date):
        return isinstance(value, str) and _compares_text(value, operator, read_text(wanted))
    if not isinstance(value, int | float):
        return False
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        value = float(value)  # as the database compares it
    return _OPERATORS[operator](value, wanted)


def _compares_text(value: str, operator: str, wanted: Text) -> bool:
    form = normal_form(value)
    moment = None if wanted.span is None else instant_of(form)
    if wanted.span is not None and moment is not None:
        if operator == "=":
            return wanted.span.start <= moment < wanted.span.end
        operator, bound = wanted.span.bound(operator)
        return _OPERATORS[operator](moment, bound)
    return wanted.form is not None and _OPERATORS[operator](_bytes(form), _bytes(wanted.form))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
