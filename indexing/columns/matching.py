"""Whether one document's metadata fulfils a filter, read plainly: for documents that no column holds yet."""

from __future__ import annotations

from collections.abc import Mapping
from operator import ge, gt, le, lt
from typing import Any

from indexing.search.filters import And, Compare, Node, Not, Or, Value

__all__ = ["matches"]

_OPERATORS = {"<": lt, "<=": le, ">": gt, ">=": ge}
_LEAST, _MOST = -(2**63), 2**63 - 1


def matches(node: Node, metadata: Mapping[str, Any]) -> bool:
    """What the language of filters says, see `indexing.search.filters`."""
    if isinstance(node, And):
        return all(matches(child, metadata) for child in node.nodes)
    if isinstance(node, Or):
        return any(matches(child, metadata) for child in node.nodes)
    if isinstance(node, Not):
        return not matches(node.node, metadata)
    if node.operator == "!=":
        return not matches(Compare(node.field, "=", node.value), metadata)
    if node.field not in metadata:
        return node.value is None
    value = metadata[node.field]
    return any(_compares(one, node) for one in (value if isinstance(value, list) else [value]))


def _compares(value: Any, node: Compare) -> bool:
    wanted: Value = node.value
    if value is None or wanted is None or isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, str) != isinstance(wanted, str) or not isinstance(value, str | int | float):
        return False
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        value = float(value)  # as the database compares it
    if node.operator == "=":
        return bool(value == wanted)
    if isinstance(value, str) and isinstance(wanted, str):
        pair: tuple[Any, Any] = (_bytes(value), _bytes(wanted))
    else:
        pair = (value, wanted)
    return bool(_OPERATORS[node.operator](*pair))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
