"""A filter tree as a SQL condition on the document table. Values and field names are bound."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, and_, case, literal, not_, or_, select, true

from indexing.catalog.log import slices
from indexing.catalog.schema import DocumentRow
from indexing.catalog.sqlite import members
from indexing.search.filters import And, Compare, Node, Not, Or, Value, nesting

__all__ = ["KINDS", "condition", "has_kind", "known_fields", "matching_keys", "value_kind", "value_kinds"]

MAX_FIELDS = 1_000

KINDS = {"text": "text", "number": "numbers", "truth": "true or false"}
"""Values compare with values of their kind only; each with its name in a sentence."""

_KIND_OF_TYPE = {
    "text": "text",
    "array": "text",  # lists are lists of text
    "integer": "number",
    "real": "number",
    "true": "truth",
    "false": "truth",
    "null": "null",
}

_OPERATORS = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
# Types as SQLite's json_each names them
_NUMBERS = ("integer", "real")
_TYPE_OF_CONSTANT = {None: "null", True: "true", False: "false"}


def matching_keys(
    connection: Connection, collection_id: int, node: Node, among: Iterable[int] | None = None
) -> np.ndarray:
    """Keys of the live documents (only those `among` these, if given) that match, ascending, int64."""
    statement = (
        select(DocumentRow.key)
        .where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted, condition(node))
        .order_by(DocumentRow.key)
    )
    if among is None:
        return np.asarray(connection.scalars(statement).all(), dtype=np.int64)
    parts = (connection.scalars(statement.where(DocumentRow.key.in_(part))).all() for part in slices(among))
    return np.sort(np.asarray([key for part in parts for key in part], dtype=np.int64))


def has_kind(connection: Connection, collection_id: int, field: str, kind: str | None) -> bool:
    """Whether a live document has a value of this kind (None: any) in `field`; quick where many have."""
    member = members(DocumentRow.meta, "m")
    types = [type_ for type_, its_kind in _KIND_OF_TYPE.items() if kind in (None, its_kind)]
    found = select(literal(1)).select_from(member).where(member.c.key == field, member.c.type.in_(types))
    live = select(literal(1)).where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
    return connection.execute(live.where(found.exists()).limit(1)).first() is not None


def value_kinds(connection: Connection, collection_id: int, field: str) -> set[str]:
    """The kinds of values (keys of `KINDS`, and "null") that live documents have in `field`. Reads all."""
    member = members(DocumentRow.meta, "m")
    statement = (
        select(case(_KIND_OF_TYPE, value=member.c.type))
        .select_from(DocumentRow)
        .join(member, true())
        .where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted, member.c.key == field)
        .distinct()
    )
    return set(connection.scalars(statement))


def value_kind(value: Value) -> str | None:
    """The kind of a value in a filter; None for null, which compares with every kind."""
    if value is None:
        return None
    return "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"


def known_fields(connection: Connection, collection_id: int) -> list[str]:
    """The names of up to MAX_FIELDS metadata fields, in order."""
    member = members(DocumentRow.meta, "m")
    statement = (
        select(member.c.key)
        .select_from(DocumentRow)
        .join(member, true())
        .where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
        .distinct()
        .limit(MAX_FIELDS)
    )
    return sorted(map(str, connection.scalars(statement)))


def condition(node: Node) -> ColumnElement[bool]:
    """The SQL condition of `node`; never NULL, so that `not` means the complement.

    Of an `and` or `or` the deepest part is written first: SQLite's parser remembers no more than 100 symbols.
    What asks a field for one of many values becomes one look at the field.
    """
    if isinstance(node, And | Or):
        negated = isinstance(node, And)
        values, others = _equalities(node.nodes, negated)
        parts = [condition(other) for other in sorted(others, key=nesting, reverse=True)]
        looks = [_is_one_of(field, wanted) for field, wanted in values.items()]
        return and_(*parts, *map(not_, looks)) if negated else or_(*parts, *looks)
    if isinstance(node, Not):
        return not_(condition(node.node))
    if node.operator == "=":
        return _is_one_of(node.field, [node.value])
    if node.operator == "!=":
        return not_(_is_one_of(node.field, [node.value]))
    return _has(node.field, lambda row: _is_beyond(row, node))


def _equalities(nodes: Iterable[Node], negated: bool) -> tuple[dict[str, list[Value]], list[Node]]:
    """The values that `nodes` ask a field to have (`negated`: not to have), by field; and the other nodes."""
    values: dict[str, list[Value]] = {}
    others: list[Node] = []
    for node in nodes:
        inner = node.node if negated and isinstance(node, Not) else node
        operator = "!=" if negated and inner is node else "="
        if isinstance(inner, Compare) and inner.operator == operator:
            values.setdefault(inner.field, []).append(inner.value)
        else:
            others.append(node)
    return values, others


def _field_exists(field: str) -> ColumnElement[bool]:
    member = members(DocumentRow.meta, "m")
    return select(literal(1)).select_from(member).where(member.c.key == field).exists()


def _is_one_of(field: str, values: Sequence[Value]) -> ColumnElement[bool]:
    """True if the field, or one element of it when it is a list, is one of `values`; null is missing."""
    found = _has(field, lambda row: _equals(row, values))
    return or_(not_(_field_exists(field)), found) if None in values else found


def _has(field: str, matches: Callable[[Any], ColumnElement[bool]]) -> ColumnElement[bool]:
    """True if the row of the field's value, or that of one of its elements when it is a list, `matches`."""
    member = members(DocumentRow.meta, "m")
    element = members(member.c.value, "e")
    in_list = select(literal(1)).select_from(element).where(matches(element)).exists()
    match = or_(
        and_(member.c.type.not_in(("array", "object")), matches(member)),
        and_(member.c.type == "array", in_list),
    )
    return select(literal(1)).select_from(member).where(member.c.key == field, match).exists()


def _equals(row: Any, values: Sequence[Value]) -> ColumnElement[bool]:
    types = [_TYPE_OF_CONSTANT[value] for value in values if value is None or isinstance(value, bool)]
    texts = [value for value in values if isinstance(value, str)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return or_(
        *([row.c.type.in_(types)] if types else []),
        *([and_(row.c.type == "text", row.c.value.in_(texts))] if texts else []),
        *([and_(row.c.type.in_(_NUMBERS), row.c.value.in_(numbers))] if numbers else []),
    )


def _is_beyond(row: Any, node: Compare) -> ColumnElement[bool]:
    types = ("text",) if isinstance(node.value, str) else _NUMBERS
    return and_(row.c.type.in_(types), _OPERATORS[node.operator](row.c.value, literal(node.value)))
