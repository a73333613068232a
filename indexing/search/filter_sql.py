"""A filter tree as a SQL condition on the document table. Values and field names are bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sqlalchemy import ColumnElement, Connection, and_, func, literal, not_, or_, select, true

from indexing.catalog.log import slices
from indexing.catalog.schema import DocumentRow
from indexing.search.filters import And, Compare, Node, Not, Or

__all__ = ["condition", "known_fields", "matching_keys", "missing_fields"]

MAX_FIELDS = 1_000

_OPERATORS = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "=": lambda left, right: left == right,
}


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


def missing_fields(connection: Connection, collection_id: int, fields: Iterable[str]) -> list[str]:
    """Those of `fields` that no live document has."""
    live = select(literal(1)).where(DocumentRow.collection_id == collection_id, ~DocumentRow.deleted)
    return [
        field
        for field in fields
        if connection.execute(live.where(_field_exists(field)).limit(1)).first() is None
    ]


def known_fields(connection: Connection, collection_id: int) -> list[str]:
    """The names of up to MAX_FIELDS metadata fields, in order."""
    member = _members(DocumentRow.meta, "m")
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
    """The SQL condition of `node`; never NULL, so that `not` means the complement."""
    if isinstance(node, And):
        return and_(*(condition(child) for child in node.nodes))
    if isinstance(node, Or):
        return or_(*(condition(child) for child in node.nodes))
    if isinstance(node, Not):
        return not_(condition(node.node))
    if node.operator == "!=":
        return not_(condition(Compare(node.field, "=", node.value)))
    if node.value is None:
        return or_(not_(_field_exists(node.field)), _compare(node))
    return _compare(node)


def _members(json: Any, name: str) -> Any:
    """SQLite's json_each: one row per member, with columns key, value and type."""
    return func.json_each(json).table_valued("key", "value", "type", name=name)


def _field_exists(field: str) -> ColumnElement[bool]:
    member = _members(DocumentRow.meta, "m")
    return select(literal(1)).select_from(member).where(member.c.key == field).exists()


def _compare(node: Compare) -> ColumnElement[bool]:
    """True if the field, or one element of it when it is a list, compares as asked."""
    member = _members(DocumentRow.meta, "m")
    element = _members(member.c.value, "e")
    in_list = select(literal(1)).select_from(element).where(_matches(element, node)).exists()
    match = or_(
        and_(member.c.type.not_in(("array", "object")), _matches(member, node)),
        and_(member.c.type == "array", in_list),
    )
    return select(literal(1)).select_from(member).where(member.c.key == node.field, match).exists()


def _matches(row: Any, node: Compare) -> ColumnElement[bool]:
    value = node.value
    if value is None:
        return row.c.type == "null"
    if isinstance(value, bool):
        return row.c.type == ("true" if value else "false")
    types = ("text",) if isinstance(value, str) else ("integer", "real")
    return and_(row.c.type.in_(types), _OPERATORS[node.operator](row.c.value, literal(value)))
